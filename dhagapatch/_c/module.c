#include "shared.h"

#include "budget.h"
#include "entry.h"
#include "heap.h"
#include "sqlite.h"
#include "hub.h"
#include "local.h"
#include "locks.h"
#include "files.h"
#include "loop.h"
#include "pool.h"
#include "sockets.h"
#include "threads.h"
#include "tls.h"
#include "work.h"

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
#define OF_ACQUIRE_LOCK "acquire_lock($self, /, blocking=True, timeout=-1)\n--\n\n"
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
    {"acquire_lock", (PyCFunction)(void (*)(void))lock_acquire_lock, METH_FASTCALL | METH_KEYWORDS, OF_ACQUIRE_LOCK},
    {"__enter__", lock_enter, METH_NOARGS, OF_ENTER},
    {"release", lock_release, METH_NOARGS, OF_RELEASE},
    {"release_lock", lock_release, METH_NOARGS, OF_RELEASE},
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

/* What a value must be. */
enum { ANY, CLASS, CALLABLE, DICT, LIST, INTEGER, TEXT };

typedef struct {
    const char *name;
    PyObject **where;
    int kind;
} Given;

static const Given given_core[] = {
    {"Dhaga", (PyObject **)&dhaga_type, CLASS}, {"Hub", (PyObject **)&hub_type, CLASS}, {"Netpoll", (PyObject **)&netpoll_type, CLASS},
    {"Entry", (PyObject **)&entry_type, CLASS}, {"modules", &modules, DICT}, {"real", &real_module, ANY}, {"source", &source, TEXT},
    {"catch_up", &catch_up, CALLABLE}, {"deliver_all", &deliver_all, CALLABLE}, {"park", &slow_park, CALLABLE}, {"yield_", &slow_yield, CALLABLE},
    {"run", &slow_run, CALLABLE}, {"turn", &real_turn, CALLABLE}, {"poll", &real_poll, CALLABLE}, {"MASKS", &masks, DICT},
    {"deque", (PyObject **)&deque_type, CLASS},
    {"Lock", (PyObject **)&lock_type, CLASS}, {"RLock", (PyObject **)&rlock_type, CLASS}, {"Mutex", (PyObject **)&mutex_type, CLASS},
    {"DhagaParker", (PyObject **)&parker_type, CLASS}, {"WaitQueue", (PyObject **)&queue_type, CLASS},
    {"queue_of", &queue_of, CALLABLE}, {"restore", &restore, CALLABLE}, {"Interruption", &interruption, CLASS},
    {"abandon_wait", &abandon_wait, CALLABLE}, {"wait", &slow_wait, CALLABLE}, {"lock_acquire", &slow_lock_acquire, CALLABLE},
    {"lock_acquire_lock", &slow_lock_acquire_lock, CALLABLE},
    {"lock_enter", &slow_lock_enter, CALLABLE}, {"lock_release", &slow_lock_release, CALLABLE},
    {"lock_exit", &slow_lock_exit, CALLABLE}, {"lock_is_owned", &slow_lock_is_owned, CALLABLE},
    {"lock_acquire_restore", &slow_lock_restore, CALLABLE}, {"rlock_acquire", &slow_rlock_acquire, CALLABLE},
    {"rlock_enter", &slow_rlock_enter, CALLABLE}, {"rlock_release", &slow_rlock_release, CALLABLE},
    {"rlock_exit", &slow_rlock_exit, CALLABLE}, {NULL},
};

static const Given given_sockets[] = {
    {"socket", (PyObject **)&socket_type, CLASS}, {"hidden", &hidden, DICT}, {"again", &again, CALLABLE},
    {"send_rest", &send_rest, CALLABLE}, {"raise_pending", &raise_pending, CALLABLE}, {"recv", &slow_recv, CALLABLE},
    {"recv_into", &slow_recv_into, CALLABLE}, {"send", &slow_send, CALLABLE}, {"sendall", &slow_sendall, CALLABLE},
    {"sock_fileno", &real_fileno, CALLABLE}, {"sock_gettimeout", &real_gettimeout, CALLABLE}, {"sock_recv", &real_recv, CALLABLE},
    {"sock_recv_into", &real_recv_into, CALLABLE}, {"sock_send", &real_send, CALLABLE}, {"dontwait", &dontwait, INTEGER}, {NULL},
};

static const Given given_local[] = {
    {"local", (PyObject **)&local_type, CLASS}, {"get", &slow_local_get, CALLABLE}, {"set", &slow_local_set, CALLABLE}, {NULL},
};

static const Given given_tls[] = {
    {"Connection", (PyObject **)&connection_type, CLASS}, {"read", &slow_tls_read, CALLABLE}, {"write", &slow_tls_write, CALLABLE},
    {"do", &tls_do, CALLABLE}, {"time_out", &tls_time_out, CALLABLE}, {"make_nonblocking", &make_nonblocking, CALLABLE},
    {"want_read", &want_read, CLASS}, {"want_write", &want_write, CLASS}, {NULL},
};

static const Given given_threads[] = {
    {"lock", (PyObject **)&green_lock_type, CLASS}, {"init", &init_of_lock, CALLABLE}, {"NOBODY", &no_waiters, ANY},
    {"get_ident", &slow_get_ident, CALLABLE}, {"allocate_lock", &slow_allocate_lock, CALLABLE}, {NULL},
};

enum { MOST_GIVEN = LEN(given_core) };

static int
is_of_kind(PyObject *value, int kind)
{
    switch (kind) {
    case CLASS: return PyType_Check(value);
    case CALLABLE: return PyCallable_Check(value);
    case DICT: return PyDict_Check(value);
    case LIST: return PyList_Check(value);
    case INTEGER: return PyLong_CheckExact(value);
    case TEXT: return PyUnicode_CheckExact(value);
    }
    return 1;
}

/* The value of that name, borrowed; NULL with an exception. */
static PyObject *
value_of(PyObject *names, const char *name, int kind)
{
    PyObject *value;

    if (!PyDict_CheckExact(names))
        return PyErr_Format(PyExc_TypeError, "names come in a dict, not %.100s", Py_TYPE(names)->tp_name);
    value = PyDict_GetItemString(names, name);
    if (value == NULL)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_KeyError, "%s", name);
    return is_of_kind(value, kind) ? value : PyErr_Format(PyExc_TypeError, "%s can't be a %.100s", name, Py_TYPE(value)->tp_name);
}

/* All or nothing; `before` gets what was there, for `undo`. */
static int
take_given(const Given *given, PyObject *names, PyObject **before)
{
    Py_ssize_t count = 0;

    for (; given[count].name != NULL; count++)
        if (value_of(names, given[count].name, given[count].kind) == NULL)
            return -1;
    for (Py_ssize_t i = 0; i < count; i++) {
        before[i] = *given[i].where;
        *given[i].where = Py_NewRef(value_of(names, given[i].name, given[i].kind));
    }
    return 0;
}

static const Given given_files[] = {
    {"inside", &inside, ANY}, {"await_turn", &await_turn, CALLABLE}, {"end_turn", &end_turn, CALLABLE},
    {"FileIO", (PyObject **)&file_type, CLASS}, {"BytesIO", (PyObject **)&bytes_type, CLASS},
    {"Buffered", (PyObject **)&buffered_type, CLASS}, {NULL},
};

/* After `take_given`: back, if something else was wrong, or what was there is let go. */
static void
settle(const Given *given, PyObject **before, int is_right)
{
    for (Py_ssize_t i = 0; given[i].name != NULL; i++) {
        if (!is_right) {
            PyObject *wrong = *given[i].where;
            *given[i].where = before[i];
            before[i] = wrong;
        }
    }
    for (Py_ssize_t i = 0; given[i].name != NULL; i++)
        Py_XDECREF(before[i]);
}

/* HAZARD: methods that were made before, and objects, count on what they were made with. */
static int
is_subtype(PyTypeObject *type, PyTypeObject *base)
{
    if (PyType_IsSubtype(type, base))
        return 1;
    PyErr_Format(PyExc_TypeError, "%.100s is no kind of %.100s", type->tp_name, base->tp_name);
    return 0;
}

static int
core_is_there(void)
{
    if (offsets[HUB] == 0)
        PyErr_SetString(PyExc_RuntimeError, "setup_core() comes first");
    return offsets[HUB] != 0;
}

static const struct {
    PyTypeObject **owner;
    const char *name;
} slots[SLOTS] = {
    [HUB] = {&dhaga_type, "dhaga_hub"}, [DEADLINE] = {&dhaga_type, "dhaga_deadline"}, [INTERRUPTS] = {&dhaga_type, "dhaga_interrupts"},
    [PARKED] = {&dhaga_type, "dhaga_parked"}, [PARKS] = {&dhaga_type, "dhaga_parks"}, [TIMED_OUT] = {&dhaga_type, "dhaga_timed_out"},
    [TIMER_AT] = {&dhaga_type, "dhaga_timer_at"}, [TOKEN] = {&dhaga_type, "_dhagapatch_token"}, [WAITING] = {&dhaga_type, "dhaga_waiting"},
    [CALL] = {&dhaga_type, "call"},
    [ABANDONED] = {&hub_type, "abandoned"}, [COUNTED] = {&hub_type, "counted"}, [DEADLINES] = {&hub_type, "deadlines"}, [ENTRIES] = {&hub_type, "entries"},
    [GREENLET] = {&hub_type, "greenlet"}, [LEFT] = {&hub_type, "_left"},
    [NETPOLL] = {&hub_type, "netpoll"}, [NOTIFIED] = {&hub_type, "_notified"}, [OUTSIDE] = {&hub_type, "_outside"},
    [RUNQ] = {&hub_type, "runq"},
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
    if (Py_IS_TYPE(member, &PyMemberDescr_Type) && PyType_IsSubtype(owner, PyDescr_TYPE(member))
        && ((PyMemberDescrObject *)member)->d_member->type == T_OBJECT_EX)
        offset = ((PyMemberDescrObject *)member)->d_member->offset;
    else
        PyErr_Format(PyExc_TypeError, "%s.%s is no slot", owner->tp_name, name);
    Py_DECREF(member);
    return offset;
}

/* `offset_of` into `*where`; HAZARD: methods that were made before count on the old ones, so they don't change. */
static int
find_offset(PyTypeObject *owner, const char *name, Py_ssize_t *where)
{
    Py_ssize_t offset = offset_of(owner, name);

    if (offset >= 0 && *where != 0 && *where != offset) {
        PyErr_Format(PyExc_TypeError, "%s.%s is not where it was", owner->tp_name, name);
        return -1;
    }
    if (offset >= 0)
        *where = offset;
    return offset < 0 ? -1 : 0;
}

static int
find_offsets(Py_ssize_t *found)
{
    memcpy(found, offsets, sizeof(offsets));
    for (int slot = 0; slot < SLOTS; slot++) {
        if (find_offset(*slots[slot].owner, slots[slot].name, found + slot) < 0)
            return -1;
        if (slot_names[slot] == NULL && (slot_names[slot] = PyUnicode_InternFromString(slots[slot].name)) == NULL)
            return -1;
    }
    return 0;
}

/* The names' functions in C, for the run queue; NULL: called by name. */
static int
find_functions_of_deque(PyCFunction *found)
{
    PyObject *append = PyObject_GetAttr((PyObject *)deque_type, str_append);
    PyObject *popleft = append == NULL ? NULL : PyObject_GetAttr((PyObject *)deque_type, str_popleft);

    if (popleft != NULL) {
        found[0] = function_of(append, METH_O);
        found[1] = function_of(popleft, METH_NOARGS);
    }
    Py_XDECREF(append);
    Py_XDECREF(popleft);
    return popleft == NULL ? -1 : 0;
}

typedef struct {
    Py_ssize_t offsets[SLOTS];
    PyCFunction of_deque[2];
    long numbers[4];
    double times[4];
} Found;

static int
find_core(PyObject *names, Found *found)
{
    static const char *const numbers[] = {"READ", "WRITE", "STAYS", "BEYOND"};
    static const char *const times[] = {"POLL_EVERY", "LEND_EVERY", "LONGEST", "QUIET"};

    for (Py_ssize_t i = 0; i < LEN(numbers); i++) {
        PyObject *value = value_of(names, numbers[i], INTEGER);
        if (value == NULL || ((found->numbers[i] = PyLong_AsLong(value)) == -1 && PyErr_Occurred()))
            return -1;
    }
    for (Py_ssize_t i = 0; i < LEN(times); i++) {
        PyObject *value = value_of(names, times[i], ANY);
        if (value == NULL || ((found->times[i] = PyFloat_AsDouble(value)) == -1.0 && PyErr_Occurred()))
            return -1;
    }
    if (!is_subtype(dhaga_type, &PyGreenlet_Type) || !is_subtype(lock_type, mutex_type) || !is_subtype(rlock_type, mutex_type)
        || !is_subtype(queue_type, &PyList_Type))
        return -1;
    return find_offsets(found->offsets) < 0 ? -1 : find_functions_of_deque(found->of_deque);
}

/* setup_core(names), and its sisters: the classes and functions that are needed, by name.  All of it, or nothing. */
static PyObject *
setup_core(PyObject *module, PyObject *names)
{
    PyObject *before[MOST_GIVEN];
    Found found;
    int done;

    if (take_given(given_core, names, before) < 0)
        return NULL;
    done = find_core(names, &found);
    settle(given_core, before, done == 0);
    if (done < 0)
        return NULL;
    memcpy(offsets, found.offsets, sizeof(offsets));
    c_append = found.of_deque[0];
    c_popleft = found.of_deque[1];
    read_bit = found.numbers[0];
    write_bit = found.numbers[1];
    stays_bits = found.numbers[2];
    beyond = found.numbers[3];
    poll_every = found.times[0];
    lend_every = found.times[1];
    longest = found.times[2];
    quiet_after = found.times[3];
    Py_RETURN_NONE;
}

/* The C function of a method of sockets without arguments; NULL: it is none. */
static PyCFunction
function_of_socket(PyObject *method)
{
    PyCFunction function = function_of(method, METH_NOARGS);

    return function != NULL && PyType_IsSubtype(socket_type, PyDescr_TYPE(method)) ? function : NULL;
}

static PyObject *
setup_sockets(PyObject *module, PyObject *names)
{
    PyObject *before[MOST_GIVEN];

    if (!core_is_there() || take_given(given_sockets, names, before) < 0)
        return NULL;
    settle(given_sockets, before, 1);
    c_fileno = function_of_socket(real_fileno);
    if (c_fileno == NULL)
        c_fileno = call_fileno;
    c_gettimeout = function_of_socket(real_gettimeout);
    if (c_gettimeout == NULL)
        c_gettimeout = call_gettimeout;
    Py_RETURN_NONE;
}

static PyObject *
setup_local(PyObject *module, PyObject *names)
{
    PyObject *before[MOST_GIVEN];
    int done;

    if (take_given(given_local, names, before) < 0)
        return NULL;
    done = find_offset(local_type, "_local__dicts", &local_dicts);
    settle(given_local, before, done == 0);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
methods(PyTypeObject *owner, PyMethodDef *defs)
{
    PyObject *result;

    if (owner == NULL)
        return PyErr_Format(PyExc_RuntimeError, "the set-up comes first");
    result = PyDict_New();
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
    if (!core_is_there())
        return NULL;
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

/* setup_files(names): what the turns of buffered files need, by name. */
static PyObject *
setup_files(PyObject *module, PyObject *names)
{
    PyObject *before[MOST_GIVEN], *raw;
    Py_ssize_t offset = -1;

    if (!core_is_there() || take_given(given_files, names, before) < 0)
        return NULL;
    raw = PyObject_GetAttrString((PyObject *)buffered_type, "raw"); /* of a C type, and may be NULL */
    if (raw != NULL && Py_IS_TYPE(raw, &PyMemberDescr_Type) && PyDict_CheckExact(inside))
        offset = ((PyMemberDescrObject *)raw)->d_member->offset;
    else if (raw != NULL)
        PyErr_SetString(PyExc_TypeError, "setup_files() takes a class of buffers, and a dict");
    Py_XDECREF(raw);
    settle(given_files, before, offset >= 0);
    if (offset < 0)
        return NULL;
    buffered_raw = offset;
    turns_interpreter = PyThreadState_Get()->interp;
    Py_RETURN_NONE;
}

/* setup_tls(names): the methods, by name. */
static PyObject *
setup_tls(PyObject *module, PyObject *names)
{
    PyObject *before[MOST_GIVEN];
    Py_ssize_t native = connection_native, sock = connection_sock, flows = connection_flows;
    int done;

    if (!core_is_there() || take_given(given_tls, names, before) < 0)
        return NULL;
    done = socket_type == NULL || find_offset(connection_type, "_native", &native) < 0
                   || find_offset(connection_type, "_sock", &sock) < 0 || find_offset(connection_type, "_flows", &flows) < 0
               ? -1
               : 0;
    settle(given_tls, before, done == 0);
    if (done < 0)
        return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_RuntimeError, "setup_sockets() comes first");
    connection_native = native;
    connection_sock = sock;
    connection_flows = flows;
    return methods(connection_type, methods_of_connection);
}

/* name_type(class, name, final): what the interpreter's own errors call it; if `final`, it has no subclasses from now on. */
static PyObject *
name_type(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    PyTypeObject *kind;
    const char *text;
    char *copy;
    Py_ssize_t size;
    int final;

    if (nargs != 3 || !PyType_Check(args[0]) || !PyUnicode_Check(args[1]) || !PyType_HasFeature((PyTypeObject *)args[0], Py_TPFLAGS_HEAPTYPE))
        return PyErr_Format(PyExc_TypeError, "name_type() takes a class made in Python, its name, and whether it is final");
    kind = (PyTypeObject *)args[0];
    text = PyUnicode_AsUTF8AndSize(args[1], &size);
    final = PyObject_IsTrue(args[2]);
    if (text == NULL || final < 0)
        return NULL;
    copy = PyMem_Malloc((size_t)size + 1); /* as long as the class, which is for ever */
    if (copy == NULL)
        return PyErr_NoMemory();
    memcpy(copy, text, (size_t)size + 1);
    kind->tp_name = copy;
    if (final)
        kind->tp_flags &= ~Py_TPFLAGS_BASETYPE;
    Py_RETURN_NONE;
}

static PyMethodDef functions_of_threads[] = {
    {"get_ident", get_ident, METH_NOARGS, NULL}, {"allocate_lock", allocate_lock, METH_NOARGS, NULL},
    {"allocate", allocate_lock, METH_NOARGS, NULL}, {NULL},
};

/* The functions, by name; `real_ones`: those that they stand for. */
static PyObject *
make_functions(PyObject *real_ones)
{
    PyObject *result = PyDict_New(), *thread = PyImport_ImportModule("_thread");
    PyObject *name = thread == NULL ? NULL : PyModule_GetNameObject(thread);

    if (name == NULL)
        Py_CLEAR(result);
    for (PyMethodDef *def = functions_of_threads; result != NULL && def->ml_name != NULL; def++) {
        PyObject *real_one = value_of(real_ones, def->ml_name, CALLABLE), *function = NULL;

        if (real_one != NULL && !PyCFunction_CheckExact(real_one))
            PyErr_Format(PyExc_TypeError, "%s is no built-in function", def->ml_name);
        else if (real_one != NULL) {
            def->ml_doc = ((PyCFunctionObject *)real_one)->m_ml->ml_doc;
            function = PyCFunction_NewEx(def, thread, name);
        }
        if (function == NULL || PyDict_SetItemString(result, def->ml_name, function) < 0)
            Py_CLEAR(result);
        Py_XDECREF(function);
    }
    Py_XDECREF(name);
    Py_XDECREF(thread);
    return result;
}

/* setup_threads(names): the functions, by name. */
static PyObject *
setup_threads(PyObject *module, PyObject *names)
{
    PyObject *before[MOST_GIVEN], *result = NULL, *real_ones;

    if (!core_is_there() || (real_ones = value_of(names, "real", DICT)) == NULL || take_given(given_threads, names, before) < 0)
        return NULL;
    if (is_subtype(green_lock_type, mutex_type))
        result = make_functions(real_ones);
    settle(given_threads, before, result != NULL);
    return result;
}

static PyMethodDef functions[] = {
    {"setup_core", setup_core, METH_O, PyDoc_STR("Take what the scheduler needs, by name; before anything else.")},
    {"setup_sockets", setup_sockets, METH_O, PyDoc_STR("Take what sockets need, by name.")},
    {"core_methods", core_methods, METH_NOARGS, PyDoc_STR("Compiled methods, by class and name.")},
    {"take_state", take_state, METH_O, PyDoc_STR("Take out what only C code can of the running greenlet's thread state.")},
    {"put_state", (PyCFunction)(void (*)(void))put_state, METH_FASTCALL, PyDoc_STR("Put it back.")},
    {"resume", (PyCFunction)(void (*)(void))resume_by_name, METH_FASTCALL, PyDoc_STR("Switch from the hub to the first of its run queue.")},
    {"await_thread", await_thread, METH_O, PyDoc_STR("Wait for another thread to run in this dhaga.")},
    {"take_profile", take_profile, METH_NOARGS, PyDoc_STR("Take the profile function of this OS thread out.")},
    {"put_profile", put_profile, METH_O, PyDoc_STR("Put it back.")},
    {"switch_away", switch_away, METH_O, PyDoc_STR("`greenlet.switch()`, and what is monitored by now is caught up with.")},
    {"sees_tools", sees_tools, METH_NOARGS, PyDoc_STR("Whether there is a trace function, or a call of a tool: None if not.")},
    {"leave_tools", leave_tools, METH_NOARGS, PyDoc_STR("How deep this OS thread is in calls of tools; it leaves them.")},
    {"enter_tools", enter_tools, METH_O, PyDoc_STR("It is so deep in them again.")},
    {"setup_files", setup_files, METH_O, PyDoc_STR("Take what the turns of buffered files need, by name.")},
    {"take_turns", (PyCFunction)(void (*)(void))take_turns, METH_FASTCALL, PyDoc_STR("Have methods of a class take turns.")},
    {"setup_waiting", setup_waiting, METH_O, PyDoc_STR("Take the `wait_socket` that is written in Python.")},
    {"wait_socket", (PyCFunction)(void (*)(void))wait_socket, METH_FASTCALL, PyDoc_STR("As `green.waiting.wait_socket`.")},
    {"setup_tls", setup_tls, METH_O, PyDoc_STR("Take what TLS needs, by name; compiled methods of a connection.")},
    {"setup_threads", setup_threads, METH_O, PyDoc_STR("Take what threads need, by name; what `_thread` gets.")},
    {"setup_local", setup_local, METH_O, PyDoc_STR("Take what thread-local data needs, by name.")},
    {"local_methods", local_methods, METH_NOARGS, PyDoc_STR("Compiled methods of thread-local data, by name.")},
    {"socket_methods", socket_methods, METH_NOARGS, PyDoc_STR("Compiled methods of sockets, by name.")},
    {"timeouts_changed", timeouts_changed, METH_NOARGS, PyDoc_STR("Forget what is known of hidden timeouts.")},
    {"setup_budget", (PyCFunction)(void (*)(void))setup_budget, METH_FASTCALL, PyDoc_STR("Take what the budget needs.")},
    {"charge", (PyCFunction)(void (*)(void))charge, METH_FASTCALL, PyDoc_STR("As `budget._charge`.")},
    {"setup_entry", setup_entry, METH_O, PyDoc_STR("Take the name of the runtime's modules.")},
    {"entry", (PyCFunction)(void (*)(void))entry, METH_FASTCALL, PyDoc_STR("What stands for a function or method of C.")},
    {"signal_at_next_look", signal_at_next_look, METH_O, PyDoc_STR("Have a signal's handler called a little later.")},
    {"objects_of", objects_of, METH_O, PyDoc_STR("What there is of some classes.")},
    {"referrers", referrers, METH_O, PyDoc_STR("Who refers to the items of a list.")},
    {"begin_call", (PyCFunction)(void (*)(void))begin_call, METH_FASTCALL, PyDoc_STR("Have a native thread make a system call.")},
    {"end_of_call", end_of_call, METH_O, PyDoc_STR("What came of it, or None: it is not over.")},
    {"collect_calls", (PyCFunction)(void (*)(void))collect_calls, METH_FASTCALL, PyDoc_STR("Put who waits for what is over into an inbox.")},
    {"forget_calls", forget_calls, METH_O, PyDoc_STR("Nobody is to be woken by this descriptor any more.")},
    {"pool_after_fork", pool_after_fork, METH_NOARGS, PyDoc_STR("In a child there are no such threads.")},
    {"pool_end_idle", pool_end_idle, METH_NOARGS, PyDoc_STR("Have those that idle end; how many are not in a call.")},
    {"pool_figures", pool_figures, METH_NOARGS, PyDoc_STR("Threads, idle ones, calls that queue.")},
    {"setup_works", setup_works, METH_VARARGS, PyDoc_STR("Take what moves work to a native thread, and from when on it does.")},
    {"move_works", move_works, METH_VARARGS, PyDoc_STR("Have a function of C be moved where that pays.")},
    {"work_took", work_took, METH_VARARGS, PyDoc_STR("So long it took.")},
    {"sqlite_waits", (PyCFunction)(void (*)(void))sqlite_waits, METH_FASTCALL, PyDoc_STR("Have SQLite wait by calling this.")},
    {"name_type", (PyCFunction)(void (*)(void))name_type, METH_FASTCALL, PyDoc_STR("Have the interpreter call a class so.")},
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
        {&str_append, "append"}, {&str_buffer, "__buffer__"}, {&str_arm, "arm"}, {&str_get_running_loop, "_get_running_loop"}, {&str_monotonic, "monotonic"},
        {&str_init, "__init__"}, {&str_leave, "leave"}, {&str_park, "park"}, {&str_edges, "edges"}, {&str_expire, "_expire"},
        {&str_heap, "heap"}, {&str_its_turn, "its turn"}, {&str_lend, "_lend"}, {&str_level_fd, "level_fd"}, {&str_on_quiet, "on_quiet"}, {&str_poll, "_poll"},
        {&str_tell_busy, "tell_busy"}, {&str_told_levels, "told_levels"}, {&str_turn, "_turn"}, {&str_parked, "dhaga_parked"}, {&str_pending, "pending"}, {&str_release, "release"}, {&str_read, "read"}, {&str_write, "write"}, {&str_popleft, "popleft"}, {&str_switch, "switch"},
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
