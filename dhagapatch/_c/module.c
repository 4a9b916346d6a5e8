#include "shared.h"

#include "heap.h"
#include "hub.h"
#include "local.h"
#include "locks.h"
#include "files.h"
#include "loop.h"
#include "sockets.h"
#include "threads.h"
#include "tls.h"

/* set-up */

static PyMethodDef methods_of_hub[] = {
    {"park", (PyCFunction)(void (*)(void))hub_park, METH_FASTCALL, NULL},
    {"yield_", (PyCFunction)(void (*)(void))hub_yield, METH_FASTCALL, NULL},
    {NULL},
};

static PyMethodDef methods_of_netpoll[] = {
    {"run", (PyCFunction)(void (*)(void))netpoll_run, METH_FASTCALL, NULL},
    {NULL},
};

/* what `inspect.signature` reads */
#define OF_ACQUIRE "acquire($self, /, blocking=True, timeout=-1)\n--\n\n"
#define OF_ENTER "__enter__($self, /)\n--\n\n"
#define OF_RELEASE "release($self, /)\n--\n\n"
#define OF_EXIT "__exit__($self, /, *exc_info)\n--\n\n"

static PyMethodDef methods_of_mutex[] = {
    {"_wait", (PyCFunction)(void (*)(void))mutex_wait, METH_FASTCALL, NULL},
    {NULL},
};

static PyMethodDef methods_of_lock[] = {
    {"acquire", (PyCFunction)(void (*)(void))lock_acquire, METH_FASTCALL | METH_KEYWORDS, OF_ACQUIRE},
    {"__enter__", lock_enter, METH_NOARGS, OF_ENTER},
    {"release", lock_release, METH_NOARGS, OF_RELEASE},
    {"__exit__", (PyCFunction)(void (*)(void))lock_exit, METH_FASTCALL, OF_EXIT},
    {"_is_owned", lock_is_owned, METH_NOARGS, NULL},
    {"_acquire_restore", (PyCFunction)(void (*)(void))lock_acquire_restore, METH_FASTCALL, NULL},
    {NULL},
};

static PyMethodDef methods_of_rlock[] = {
    {"acquire", (PyCFunction)(void (*)(void))rlock_acquire, METH_FASTCALL | METH_KEYWORDS, OF_ACQUIRE},
    {"__enter__", rlock_enter, METH_NOARGS, OF_ENTER},
    {"release", rlock_release, METH_NOARGS, OF_RELEASE},
    {"__exit__", (PyCFunction)(void (*)(void))rlock_exit, METH_FASTCALL, OF_EXIT},
    {NULL},
};

static PyMethodDef methods_of_local[] = {
    {"__getattribute__", local_get, METH_O, NULL},
    {"__setattr__", (PyCFunction)(void (*)(void))local_set, METH_FASTCALL, NULL},
    {NULL},
};

static PyMethodDef methods_of_connection[] = {
    {"read", (PyCFunction)(void (*)(void))tls_read, METH_FASTCALL, NULL},
    {"write", tls_write, METH_O, NULL},
    {NULL},
};

static PyMethodDef methods_of_socket[] = {
    {"recv", (PyCFunction)(void (*)(void))sock_recv, METH_FASTCALL, NULL},
    {"recv_into", (PyCFunction)(void (*)(void))sock_recv_into, METH_FASTCALL | METH_KEYWORDS, NULL},
    {"send", (PyCFunction)(void (*)(void))sock_send, METH_FASTCALL, NULL},
    {"sendall", (PyCFunction)(void (*)(void))sock_sendall, METH_FASTCALL, NULL},
    {NULL},
};

typedef struct {
    const char *name;
    PyObject **where;
} Given;

static const Given given_core[] = {
    {"Dhaga", (PyObject **)&dhaga_type}, {"Hub", (PyObject **)&hub_type}, {"Netpoll", (PyObject **)&netpoll_type},
    {"Entry", (PyObject **)&entry_type}, {"modules", &modules}, {"real", &real_module}, {"source", &source}, {"deliver_all", &deliver_all},
    {"park", &slow_park}, {"yield_", &slow_yield}, {"run", &slow_run}, {"turn", &real_turn}, {"poll", &real_poll},
    {"MASKS", &masks}, {"deque", (PyObject **)&deque_type}, {NULL},
};

static const Given given_locks[] = {
    {"Lock", (PyObject **)&lock_type}, {"RLock", (PyObject **)&rlock_type}, {"Mutex", (PyObject **)&mutex_type},
    {"DhagaParker", (PyObject **)&parker_type}, {"WaitQueue", (PyObject **)&queue_type}, {"fuel", &lock_fuel},
    {"queue_of", &queue_of}, {"restore", &restore}, {"DhagaExit", &dhaga_exit}, {"abandon_wait", &abandon_wait},
    {"wait", &slow_wait}, {"lock_acquire", &slow_lock_acquire}, {"lock_enter", &slow_lock_enter},
    {"lock_release", &slow_lock_release}, {"lock_exit", &slow_lock_exit}, {"lock_is_owned", &slow_lock_is_owned},
    {"lock_acquire_restore", &slow_lock_restore}, {"rlock_acquire", &slow_rlock_acquire}, {"rlock_enter", &slow_rlock_enter},
    {"rlock_release", &slow_rlock_release}, {"rlock_exit", &slow_rlock_exit}, {NULL},
};

static const Given given_sockets[] = {
    {"socket", (PyObject **)&socket_type}, {"hidden", &hidden},
    {"again", &again}, {"send_rest", &send_rest}, {"raise_pending", &raise_pending},
    {"recv", &slow_recv}, {"recv_into", &slow_recv_into}, {"send", &slow_send}, {"sendall", &slow_sendall},
    {"sock_fileno", &real_fileno}, {"sock_gettimeout", &real_gettimeout}, {"sock_recv", &real_recv},
    {"sock_recv_into", &real_recv_into}, {"sock_send", &real_send}, {"dontwait", &dontwait}, {NULL},
};

static int
take_given(const Given *given, PyObject *names)
{
    for (const Given *one = given; one->name != NULL; one++) { /* all or nothing */
        PyObject *value = PyMapping_GetItemString(names, one->name);
        if (value == NULL)
            return -1;
        Py_DECREF(value);
    }
    for (; given->name != NULL; given++) {
        PyObject *value = PyMapping_GetItemString(names, given->name);
        if (value == NULL)
            return -1;
        Py_XSETREF(*given->where, value);
    }
    return 0;
}

static const Given given_local[] = {
    {"local", (PyObject **)&local_type}, {"get", &slow_local_get}, {"set", &slow_local_set}, {NULL},
};

static const Given given_tls[] = {
    {"Connection", (PyObject **)&connection_type}, {"read", &slow_tls_read}, {"write", &slow_tls_write}, {"do", &tls_do},
    {"time_out", &tls_time_out}, {"make_nonblocking", &make_nonblocking}, {"want_read", &want_read}, {"want_write", &want_write},
    {NULL},
};

static const Given given_threads[] = {
    {"lock", (PyObject **)&green_lock_type}, {"init", &init_of_lock}, {"NOBODY", &no_waiters}, {"get_ident", &slow_get_ident},
    {"allocate_lock", &slow_allocate_lock}, {NULL},
};

static const struct {
    PyTypeObject **owner;
    const char *name;
} slots[SLOTS] = {
    [HUB] = {&dhaga_type, "hub"}, [DEADLINE] = {&dhaga_type, "deadline"}, [INTERRUPTS] = {&dhaga_type, "interrupts"},
    [PARKED] = {&dhaga_type, "parked"}, [PARKS] = {&dhaga_type, "parks"}, [TIMED_OUT] = {&dhaga_type, "timed_out"},
    [TIMER_AT] = {&dhaga_type, "timer_at"}, [TOKEN] = {&dhaga_type, "_dhagapatch_token"}, [WAITING] = {&dhaga_type, "waiting"},
    [ABANDONED] = {&hub_type, "abandoned"}, [COUNTED] = {&hub_type, "counted"}, [DEADLINES] = {&hub_type, "deadlines"}, [ENTRIES] = {&hub_type, "entries"},
    [FUEL] = {&hub_type, "fuel"}, [GREENLET] = {&hub_type, "greenlet"}, [LEFT] = {&hub_type, "_left"},
    [NETPOLL] = {&hub_type, "netpoll"}, [NOTIFIED] = {&hub_type, "_notified"}, [RUNQ] = {&hub_type, "runq"},
    [WAKER] = {&hub_type, "waker"},
    [LENT] = {&netpoll_type, "_lent"}, [LOOP_WORK] = {&netpoll_type, "loop_work"}, [ON_BUSY] = {&netpoll_type, "on_busy"},
    [ON_IDLE] = {&netpoll_type, "on_idle"}, [ONE_SHOT] = {&netpoll_type, "one_shot"}, [POLLER] = {&netpoll_type, "poller"},
    [LIMITS] = {&entry_type, "limits"}, [READABLE] = {&entry_type, "readable"}, [READERS] = {&entry_type, "readers"},
    [REGISTERED] = {&entry_type, "registered"}, [STICKY] = {&entry_type, "sticky"}, [STREAM] = {&entry_type, "stream"},
    [WRITABLE] = {&entry_type, "writable"}, [WRITERS] = {&entry_type, "writers"},
    [MUTEX_HELD] = {&mutex_type, "_mutex_held"}, [WAITERS] = {&mutex_type, "_waiters"},
    [MUTEX_COUNT] = {&rlock_type, "_mutex_count"}, [MUTEX_OWNER] = {&rlock_type, "_mutex_owner"},
    [PARKER_GRANTED] = {&parker_type, "granted"}, [PARKER_GREENLET] = {&parker_type, "greenlet"},
    [PARKER_HUB] = {&parker_type, "hub"}, [PARKER_OWNER] = {&parker_type, "owner"}, [PARKER_URGENT] = {&parker_type, "urgent"},
    [PARKER_WOKEN] = {&parker_type, "woken"},
};

/* -1 with an exception. */
static Py_ssize_t
offset_of(PyTypeObject *owner, const char *name)
{
    PyObject *member = PyObject_GetAttrString((PyObject *)owner, name);
    Py_ssize_t offset = -1;

    if (member == NULL)
        return -1;
    if (Py_IS_TYPE(member, &PyMemberDescr_Type))
        offset = ((PyMemberDescrObject *)member)->d_member->offset;
    else
        PyErr_Format(PyExc_TypeError, "%s.%s is no slot", owner->tp_name, name);
    Py_DECREF(member);
    return offset;
}

static int
find_offset(int slot)
{
    offsets[slot] = offset_of(*slots[slot].owner, slots[slot].name);
    if (offsets[slot] < 0)
        return -1;
    if (slot <= WAITING)
        Py_XSETREF(field_names[slot], PyUnicode_InternFromString(slots[slot].name));
    return 0;
}

static int
find_functions_of_deque(void)
{
    PyObject *append = PyObject_GetAttr((PyObject *)deque_type, str_append);
    PyObject *popleft = append == NULL ? NULL : PyObject_GetAttr((PyObject *)deque_type, str_popleft);

    if (popleft != NULL) {
        c_append = function_of(append, METH_O);
        c_popleft = function_of(popleft, METH_NOARGS);
    }
    Py_XDECREF(append);
    Py_XDECREF(popleft);
    return popleft == NULL ? -1 : 0;
}

/* setup_core(names), setup_sockets(names): the classes and functions that are needed, by name. */
static PyObject *
setup_core(PyObject *module, PyObject *names)
{
    static const struct {
        const char *name;
        long *where;
    } numbers[] = {{"READ", &read_bit}, {"WRITE", &write_bit}, {"STAYS", &stays_bits}, {"BEYOND", &beyond}};
    static const struct {
        const char *name;
        double *where;
    } times[] = {{"POLL_EVERY", &poll_every}, {"LEND_EVERY", &lend_every}, {"LONGEST", &longest}, {"QUIET", &quiet_after}};

    if (take_given(given_core, names) < 0 || take_given(given_locks, names) < 0)
        return NULL;
    for (Py_ssize_t i = 0; i < LEN(numbers); i++) {
        PyObject *value = PyMapping_GetItemString(names, numbers[i].name);
        if (value == NULL)
            return NULL;
        *numbers[i].where = PyLong_AsLong(value);
        Py_DECREF(value);
    }
    for (Py_ssize_t i = 0; i < LEN(times); i++) {
        PyObject *value = PyMapping_GetItemString(names, times[i].name);
        if (value == NULL)
            return NULL;
        *times[i].where = PyFloat_AsDouble(value);
        Py_DECREF(value);
    }
    for (int slot = 0; slot < SLOTS; slot++)
        if (find_offset(slot) < 0)
            return NULL;
    if (find_functions_of_deque() < 0 || PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
setup_sockets(PyObject *module, PyObject *names)
{
    if (take_given(given_sockets, names) < 0)
        return NULL;
    c_fileno = function_of(real_fileno, METH_NOARGS);
    if (c_fileno == NULL)
        c_fileno = call_fileno;
    c_gettimeout = function_of(real_gettimeout, METH_NOARGS);
    if (c_gettimeout == NULL)
        c_gettimeout = call_gettimeout;
    Py_RETURN_NONE;
}

static PyObject *
setup_local(PyObject *module, PyObject *names)
{
    if (take_given(given_local, names) < 0)
        return NULL;
    local_dicts = offset_of(local_type, "_local__dicts");
    if (local_dicts < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
methods(PyTypeObject *owner, PyMethodDef *defs)
{
    PyObject *result = PyDict_New();

    for (; result != NULL && defs->ml_name != NULL; defs++) {
        PyObject *real_one = PyObject_GetAttrString((PyObject *)owner, defs->ml_name), *method;

        if (defs->ml_doc == NULL && real_one != NULL && Py_IS_TYPE(real_one, &PyMethodDescr_Type))
            defs->ml_doc = ((PyMethodDescrObject *)real_one)->d_method->ml_doc;
        Py_XDECREF(real_one);
        method = real_one == NULL ? NULL : PyDescr_NewMethod(owner, defs);
        if (method == NULL || PyDict_SetItemString(result, defs->ml_name, method) < 0)
            Py_CLEAR(result);
        Py_XDECREF(method);
    }
    return result;
}

/* The compiled methods by the class that they are for, and by name. */
static PyObject *
core_methods(PyObject *module, PyObject *ignored)
{
    return Py_BuildValue("{s:N,s:N,s:N,s:N,s:N}", "Hub", methods(hub_type, methods_of_hub), "Netpoll",
                         methods(netpoll_type, methods_of_netpoll), "Mutex", methods(mutex_type, methods_of_mutex), "Lock",
                         methods(lock_type, methods_of_lock), "RLock", methods(rlock_type, methods_of_rlock));
}

static PyObject *
socket_methods(PyObject *module, PyObject *ignored)
{
    return methods(socket_type, methods_of_socket);
}

static PyObject *
local_methods(PyObject *module, PyObject *ignored)
{
    return methods(local_type, methods_of_local);
}

/* setup_files(type): of the locks of files. */
static PyObject *
setup_files(PyObject *module, PyObject *type)
{
    if (!PyType_Check(type))
        return PyErr_Format(PyExc_TypeError, "setup_files() takes a type");
    turns_owner = offset_of((PyTypeObject *)type, "owner");
    if (turns_owner < 0 || PyType_Ready(&exclusive_type) < 0)
        return NULL;
    Py_XSETREF(turns_type, (PyTypeObject *)Py_NewRef(type));
    Py_RETURN_NONE;
}

/* setup_tls(names): the methods, by name. */
static PyObject *
setup_tls(PyObject *module, PyObject *names)
{
    if (take_given(given_tls, names) < 0)
        return NULL;
    connection_native = offset_of(connection_type, "_native");
    connection_sock = offset_of(connection_type, "_sock");
    connection_flows = offset_of(connection_type, "_flows");
    if (connection_native < 0 || connection_sock < 0 || connection_flows < 0)
        return NULL;
    return methods(connection_type, methods_of_connection);
}

static PyMethodDef functions_of_threads[] = {
    {"get_ident", get_ident, METH_NOARGS, NULL}, {"allocate_lock", allocate_lock, METH_NOARGS, NULL},
    {"allocate", allocate_lock, METH_NOARGS, NULL}, {NULL},
};

/* setup_threads(names): the functions, by name. */
static PyObject *
setup_threads(PyObject *module, PyObject *names)
{
    PyObject *result = NULL, *thread = PyImport_ImportModule("_thread");
    PyObject *name = thread == NULL ? NULL : PyModule_GetNameObject(thread);
    PyObject *real_ones = PyMapping_GetItemString(names, "real"); /* by name */

    if (real_ones != NULL && name != NULL && take_given(given_threads, names) == 0)
        result = PyDict_New();
    for (PyMethodDef *def = functions_of_threads; result != NULL && def->ml_name != NULL; def++) {
        PyObject *real_one = PyMapping_GetItemString(real_ones, def->ml_name), *function = NULL;

        if (real_one != NULL && PyCFunction_CheckExact(real_one)) {
            def->ml_doc = ((PyCFunctionObject *)real_one)->m_ml->ml_doc;
            function = PyCFunction_NewEx(def, thread, name);
        }
        if (function == NULL || PyDict_SetItemString(result, def->ml_name, function) < 0)
            Py_CLEAR(result);
        Py_XDECREF(function);
        Py_XDECREF(real_one);
    }
    if (result == NULL && !PyErr_Occurred())
        PyErr_SetString(PyExc_TypeError, "a real function is no built-in one");
    Py_XDECREF(real_ones);
    Py_XDECREF(name);
    Py_XDECREF(thread);
    return result;
}

static PyMethodDef functions[] = {
    {"setup_core", setup_core, METH_O, PyDoc_STR("Take what the scheduler needs, by name; before anything else.")},
    {"setup_sockets", setup_sockets, METH_O, PyDoc_STR("Take what sockets need, by name.")},
    {"core_methods", core_methods, METH_NOARGS, PyDoc_STR("Compiled methods, by class and name.")},
    {"take_profile", take_profile, METH_NOARGS, PyDoc_STR("Take the profile function of this OS thread out.")},
    {"put_profile", put_profile, METH_O, PyDoc_STR("Put it back.")},
    {"sees_tools", sees_tools, METH_NOARGS, PyDoc_STR("Whether there is a trace function, or a call of a tool: None if not.")},
    {"leave_tools", leave_tools, METH_NOARGS, PyDoc_STR("How deep this OS thread is in calls of tools; it leaves them.")},
    {"enter_tools", enter_tools, METH_O, PyDoc_STR("It is so deep in them again.")},
    {"setup_files", setup_files, METH_O, PyDoc_STR("Take the type of the locks of files.")},
    {"exclusive", (PyCFunction)(void (*)(void))exclusive, METH_FASTCALL, PyDoc_STR("A method that takes its turn.")},
    {"setup_waiting", setup_waiting, METH_O, PyDoc_STR("Take the `wait_socket` that is written in Python.")},
    {"wait_socket", (PyCFunction)(void (*)(void))wait_socket, METH_FASTCALL, PyDoc_STR("As `green.waiting.wait_socket`.")},
    {"setup_tls", setup_tls, METH_O, PyDoc_STR("Take what TLS needs, by name; compiled methods of a connection.")},
    {"setup_threads", setup_threads, METH_O, PyDoc_STR("Take what threads need, by name; what `_thread` gets.")},
    {"setup_local", setup_local, METH_O, PyDoc_STR("Take what thread-local data needs, by name.")},
    {"local_methods", local_methods, METH_NOARGS, PyDoc_STR("Compiled methods of thread-local data, by name.")},
    {"socket_methods", socket_methods, METH_NOARGS, PyDoc_STR("Compiled methods of sockets, by name.")},
    {"timeouts_changed", timeouts_changed, METH_NOARGS, PyDoc_STR("Forget what is known of hidden timeouts.")},
    {"referrers", referrers, METH_O, PyDoc_STR("Who refers to the items of a list.")},
    {"mark", (PyCFunction)(void (*)(void))mark, METH_FASTCALL, PyDoc_STR("As `Netpoll.mark`.")},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "dhagapatch._speedups", PyDoc_STR("Hot paths, compiled."), -1, functions,
};

PyMODINIT_FUNC
PyInit__speedups(void)
{
    static const struct {
        PyObject **where;
        const char *text;
    } strings[] = {
        {&str_append, "append"}, {&str_arm, "arm"}, {&str_get_running_loop, "_get_running_loop"}, {&str_monotonic, "monotonic"},
        {&str_init, "__init__"}, {&str_leave, "leave"}, {&str_park, "park"}, {&str_edges, "edges"}, {&str_expire, "_expire"},
        {&str_heap, "heap"}, {&str_its_turn, "its turn"}, {&str_lend, "_lend"}, {&str_level_fd, "level_fd"}, {&str_on_quiet, "on_quiet"}, {&str_poll, "_poll"},
        {&str_tell_busy, "tell_busy"}, {&str_told_levels, "told_levels"}, {&str_turn, "_turn"}, {&str_parked, "parked"}, {&str_pending, "pending"}, {&str_release, "release"}, {&str_read, "read"}, {&str_write, "write"}, {&str_popleft, "popleft"}, {&str_switch, "switch"},
        {&str_wake, "wake"},
    };

    PyObject *module;

    PyGreenlet_Import();
    if (_PyGreenlet_API == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < LEN(strings); i++)
        if ((*strings[i].where = PyUnicode_InternFromString(strings[i].text)) == NULL)
            return NULL;
    module = PyModule_Create(&definition);
    if (module != NULL && PyModule_AddIntConstant(module, "EDITION", EDITION) < 0)
        Py_CLEAR(module);
    return module;
}
