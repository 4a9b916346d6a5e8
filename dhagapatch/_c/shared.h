/* The hot paths of the hub, of sockets and of locks once more, compiled.  Optional: without it everything runs as written in Python.

   Each function here stands for a Python one that it is given, does what that one does in the usual case, and hands the
   call to it, before anything has happened, in every other: a caller that is no dhaga, a trace or profile function, a running
   asyncio loop, flags, keywords.  So what is right or wrong is said in Python, and the tests run on both.

   The slots of our classes are read at the offsets that their own descriptors tell. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "greenlet/greenlet.h"

/* Goes up with every change of what the two sides expect of each other; `core.extension` has the same number. */
#define EDITION 15

enum {
    HUB, DEADLINE, INTERRUPTS, PARKED, PARKS, TIMED_OUT, TIMER_AT, TOKEN, WAITING, CALL, /* of Dhaga */
    ABANDONED, COUNTED, DEADLINES, ENTRIES, GREENLET, LEFT, NETPOLL, NOTIFIED, OUTSIDE, RUNQ, WAKER, /* of Hub */
    LENT, LOOP_WORK, ON_BUSY, ON_IDLE, ONE_SHOT, POLLER, /* of Netpoll */
    LIMITS, READABLE, READERS, REGISTERED, STICKY, STREAM, WRITABLE, WRITERS, /* of Entry */
    MUTEX_HELD, WAITERS, /* of Mutex */
    MUTEX_COUNT, MUTEX_OWNER, /* of RLock */
    PARKER_GRANTED, PARKER_GREENLET, PARKER_HUB, PARKER_OWNER, PARKER_URGENT, PARKER_WOKEN, /* of DhagaParker */
    SLOTS
};

static Py_ssize_t offsets[SLOTS];

/* NULL if somebody has deleted what it holds: whoever needs more than to compare it asks by `get`, or its sisters. */
#define SLOT(object, slot) (*(PyObject **)((char *)(object) + offsets[slot]))
#define COLD __attribute__((noinline, cold)) /* its frame is not below a switch */
#define FLAT static inline __attribute__((always_inline)) /* no frame of its own there: greenlet copies what lies below a switch */
#define LEN(array) (Py_ssize_t)(sizeof(array) / sizeof(*(array)))

/* What `setup` is given, by these names. */
static PyTypeObject *dhaga_type, *hub_type, *netpoll_type, *entry_type, *socket_type;
static PyObject *modules, *source;                   /* sys.modules, and the name under which asyncio's C module stands there */
static PyObject *hidden, *real_module;                      /* the timeouts by identity, the module of real callables */
static PyObject *catch_up, *deliver_all, *again, *send_rest, *raise_pending;
static PyObject *slow_park, *slow_run, *slow_yield, *slow_recv, *slow_recv_into, *slow_send, *slow_sendall;
static PyObject *real_fileno, *real_gettimeout, *real_recv, *real_recv_into, *real_send;
static PyObject *dontwait;
static PyObject *masks, *real_turn, *real_poll;
static double poll_every, lend_every, longest, quiet_after;
static long read_bit, write_bit, stays_bits, beyond;

static PyObject *str_edges, *str_expire, *str_heap, *str_its_turn, *str_lend, *str_level_fd, *str_on_quiet, *str_poll;
static PyObject *str_tell_busy, *str_told_levels, *str_turn;
static PyObject *str_append, *str_buffer, *str_arm, *str_get_running_loop, *str_init, *str_monotonic, *str_park, *str_release, *str_parked, *str_popleft, *str_switch;

/* Puts `value`, whose reference it takes, into a slot.  What was there may have a finalizer: after this anything may have run. */
static inline void
put(PyObject *object, int slot, PyObject *value)
{
    PyObject *before = SLOT(object, slot);
    SLOT(object, slot) = value;
    Py_XDECREF(before);
}

static PyObject *slot_names[SLOTS];

static COLD PyObject *
is_missing(PyObject *object, int slot)
{
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_AttributeError, "'%.100s' object has no attribute '%U'", Py_TYPE(object)->tp_name, slot_names[slot]);
    return NULL;
}

static COLD PyObject *
is_no(PyTypeObject *type, PyObject *object, int slot)
{
    return PyErr_Format(PyExc_TypeError, "'%.100s' object: '%U' is no %.100s", Py_TYPE(object)->tp_name, slot_names[slot],
                        type->tp_name);
}

/* What a slot holds, borrowed; NULL with an exception: nothing. */
static inline PyObject *
get(PyObject *object, int slot)
{
    PyObject *value = SLOT(object, slot);

    return value != NULL ? value : is_missing(object, slot);
}

/* As `get`, and it is of that type. */
static inline PyObject *
get_a(PyTypeObject *type, PyObject *object, int slot)
{
    PyObject *value = get(object, slot);

    return value == NULL || PyObject_TypeCheck(value, type) ? value : is_no(type, object, slot);
}

/* The length of what a slot holds; -1 with an exception. */
static inline Py_ssize_t
size_of(PyObject *object, int slot)
{
    PyObject *value = get(object, slot);

    return value == NULL ? -1 : PyObject_Size(value);
}

/* Whether calls, of Python functions too, can be so many levels deeper; RecursionError if not.  HAZARD: what waits must be able to
   leave its queue again, and to raise what is due to it. */
static int
has_room(PyThreadState *state, int levels)
{
    int entered = 0;

#if PY_VERSION_HEX < 0x030C0000
    if (state->recursion_remaining > levels)
        return 1;
#else
    if (state->py_recursion_remaining <= levels) {
        PyErr_SetString(PyExc_RecursionError, "maximum recursion depth exceeded");
        return 0;
    }
#if PY_VERSION_HEX < 0x030E0000
    if (state->c_recursion_remaining > levels)
        return 1;
#endif
#endif
    while (entered < levels && Py_EnterRecursiveCall("") == 0)
        entered++;
    for (int i = 0; i < entered; i++)
        Py_LeaveRecursiveCall();
    return entered == levels;
}

/* Whoever waits is a dhaga, or a greenlet that is not ours, the main flow's say, and has the same attributes in its dictionary. */

static inline int
is_waiter(PyObject *me)
{
    if (Py_IS_TYPE(me, dhaga_type))
        return 1;
    if (!Py_IS_TYPE(me, &PyGreenlet_Type) || ((PyGreenlet *)me)->dict == NULL)
        return 0;
    /* more than one of them: a library's greenlet may have something of that name */
    return PyDict_GetItemWithError(((PyGreenlet *)me)->dict, slot_names[PARKS]) != NULL
        && PyDict_GetItemWithError(((PyGreenlet *)me)->dict, slot_names[TIMER_AT]) != NULL;
}

/* An attribute of a waiter, which is `ours`, a dhaga, or not: borrowed; NULL, without an exception, if it is not there. */
FLAT PyObject *
field_of(PyObject *me, int slot, int ours)
{
    return ours ? SLOT(me, slot) : PyDict_GetItemWithError(((PyGreenlet *)me)->dict, slot_names[slot]);
}

static inline PyObject *
field(PyObject *me, int slot)
{
    return field_of(me, slot, Py_IS_TYPE(me, dhaga_type));
}

/* NULL with an exception: somebody has deleted it. */
FLAT PyObject *
get_field_of(PyObject *me, int slot, int ours)
{
    PyObject *value = field_of(me, slot, ours);

    return value != NULL ? value : is_missing(me, slot);
}

static inline PyObject *
get_field(PyObject *me, int slot)
{
    return get_field_of(me, slot, Py_IS_TYPE(me, dhaga_type));
}

/* Sets an attribute of a waiter, and takes the reference to `value`; -1 with an exception, if somebody has deleted the key and
   there is no memory for it. */
FLAT int
set_field_of(PyObject *me, int slot, PyObject *value, int ours)
{
    int result = 0;

    if (ours) {
        put(me, slot, value);
    }
    else {
        result = PyDict_SetItem(((PyGreenlet *)me)->dict, slot_names[slot], value);
        Py_DECREF(value);
    }
    return result;
}

static inline int
set_field(PyObject *me, int slot, PyObject *value)
{
    return set_field_of(me, slot, value, Py_IS_TYPE(me, dhaga_type));
}

static inline PyObject *
new_bool(int value)
{
    return Py_NewRef(value ? Py_True : Py_False);
}

/* Calls the Python version of a method with the arguments that the compiled one was given. */
static COLD PyObject *
call_slow(PyObject *slow, PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *small[8], **all = small, *result;
    Py_ssize_t more = names == NULL ? 0 : PyTuple_GET_SIZE(names);

    if (nargs + more + 1 > LEN(small) && (all = PyMem_New(PyObject *, nargs + more + 1)) == NULL)
        return PyErr_NoMemory();
    all[0] = self;
    if (nargs + more > 0) /* `args` may be NULL */
        memcpy(all + 1, args, (size_t)(nargs + more) * sizeof(*args));
    result = PyObject_Vectorcall(slow, all, (size_t)nargs + 1, names);
    if (all != small)
        PyMem_Free(all);
    return result;
}

/* A new tuple of arguments. */
static PyObject *
pack(PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *packed = PyTuple_New(nargs);

    for (Py_ssize_t i = 0; packed != NULL && i < nargs; i++)
        PyTuple_SET_ITEM(packed, i, Py_NewRef(args[i]));
    return packed;
}

/* `function()`, without the detour if it is a built-in one. */
static PyObject *
call_plain(PyObject *function)
{
    if (PyCFunction_CheckExact(function) && PyCFunction_GET_FLAGS(function) == METH_NOARGS)
        return PyCFunction_GET_FUNCTION(function)(PyCFunction_GET_SELF(function), NULL);
    return PyObject_CallNoArgs(function);
}

/* `module.name()`, without the search of an attribute. */
static PyObject *
call_of_module(PyObject *module, PyObject *name)
{
    PyObject *function = PyModule_Check(module) ? PyDict_GetItemWithError(PyModule_GetDict(module), name) : NULL, *result;

    if (function == NULL)
        return PyErr_Occurred() ? NULL : PyObject_CallMethodNoArgs(module, name);
    Py_INCREF(function);
    result = call_plain(function);
    Py_DECREF(function);
    return result;
}

/* The run queue.  One of another class, or whose methods in C have changed, is called by name. */

static PyTypeObject *deque_type;
static PyCFunction c_append, c_popleft;

/* The C function of a method with such flags, or NULL. */
static PyCFunction
function_of(PyObject *method, int flags)
{
    PyMethodDef *def = Py_IS_TYPE(method, &PyMethodDescr_Type) ? ((PyMethodDescrObject *)method)->d_method : NULL;

    return def != NULL && def->ml_flags == flags ? def->ml_meth : NULL;
}

static int
enqueue(PyObject *runq, PyObject *waiter)
{
    int simple = c_append != NULL && Py_IS_TYPE(runq, deque_type);
    PyObject *result = simple ? c_append(runq, waiter) : PyObject_CallMethodOneArg(runq, str_append, waiter);

    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* The same of a hub's. */
static inline int
enqueue_in(PyObject *hub, PyObject *waiter)
{
    PyObject *runq = get(hub, RUNQ);

    return runq == NULL ? -1 : enqueue(runq, waiter);
}

/* A new reference. */
static PyObject *
dequeue(PyObject *runq)
{
    int simple = c_popleft != NULL && Py_IS_TYPE(runq, deque_type);

    return simple ? c_popleft(runq, NULL) : PyObject_CallMethodNoArgs(runq, str_popleft);
}

/* A new reference: the deadline, in monotonic seconds, of a timeout. */
static PyObject *
deadline_of(PyObject *timeout)
{
    PyObject *now, *deadline;

    if (timeout == Py_None)
        return Py_NewRef(Py_None);
    now = call_of_module(real_module, str_monotonic);
    if (now == NULL)
        return NULL;
    if (PyFloat_CheckExact(now) && PyFloat_CheckExact(timeout))
        deadline = PyFloat_FromDouble(PyFloat_AS_DOUBLE(now) + PyFloat_AS_DOUBLE(timeout));
    else
        deadline = PyNumber_Add(now, timeout);
    Py_DECREF(now);
    return deadline;
}
