/* parking */

/* Whether an asyncio loop runs in this OS thread; -1 with an exception. */
static int
has_running_loop(void)
{
    PyObject *module = PyDict_GetItemWithError(modules, source), *loop;
    int is_there;

    if (module == NULL || module == Py_None) /* None: its import is blocked */
        return PyErr_Occurred() ? -1 : 0;
    loop = call_of_module(module, str_get_running_loop);
    if (loop == NULL)
        return -1;
    is_there = loop != Py_None;
    Py_DECREF(loop);
    return is_there;
}

/* Whether the switch may be made here: 1, 0 (let Python do it), or -1 with an exception. */
static int
may_switch(PyObject *hub, PyObject *me)
{
    PyThreadState *state = PyThreadState_Get();
    int loop;

    if (!is_waiter(me) || !PyObject_TypeCheck(hub, hub_type) || state->c_traceobj != NULL || state->c_profilefunc != NULL ||
        state->tracing != 0)
        return 0;
    loop = has_running_loop();
    return loop < 0 ? -1 : !loop;
}

static int
is_same(PyObject *one, PyObject *other)
{
    return one == other ? 1 : PyObject_RichCompareBool(one, other, Py_EQ);
}

/* The next of the run queue, taken out, if whoever gives way may go on to it by itself; NULL: the hub is next, or an exception.
   HAZARD: one that has not begun is left to the hub (it is false). */
static PyObject *
take_next(PyObject *hub, long least, int unless_loop_work)
{
    PyObject *runq = SLOT(hub, RUNQ), *first, *left;
    long count;
    int ready;

    if (PyObject_Size(runq) <= 0)
        return NULL;
    count = PyLong_AsLong(SLOT(hub, LEFT));
    if (count <= 0 && (count <= least || (unless_loop_work && SLOT(SLOT(hub, NETPOLL), LOOP_WORK) != Py_False)))
        return NULL;
    first = PySequence_GetItem(runq, 0);
    if (first == NULL)
        return NULL;
    ready = PyObject_IsTrue(first);
    Py_DECREF(first);
    if (ready <= 0 || (left = PyLong_FromLong(count - 1)) == NULL)
        return NULL;
    put(hub, LEFT, left);
    return dequeue(SLOT(hub, RUNQ));
}

/* Switches to `next`, whose reference it takes, or to the hub. */
FLAT int
switch_to(PyObject *hub, PyObject *next)
{
    PyObject *result;

    if (next == NULL) {
        if (PyErr_Occurred())
            return -1;
        next = Py_NewRef(SLOT(hub, GREENLET));
    }
    if (Py_IS_TYPE(next, dhaga_type) || PyObject_TypeCheck(next, &PyGreenlet_Type))
        result = PyGreenlet_Switch((PyGreenlet *)next, NULL, NULL);
    else
        result = PyObject_CallMethodNoArgs(next, str_switch);
    Py_DECREF(next);
    if (result == NULL)
        return -1;
    Py_DECREF(result);
    return 0;
}

/* `me` has been resumed once more. */
static int
count_resumption(PyObject *me)
{
    long long parks = PyLong_AsLongLong(field(me, PARKS));
    PyObject *count;

    if (parks == -1 && PyErr_Occurred())
        return -1;
    count = PyLong_FromLongLong(parks + 1);
    if (count == NULL)
        return -1;
    set_field(me, PARKS, count);
    return 0;
}

static int
arm(PyObject *hub, PyObject *me, PyObject *deadline)
{
    PyObject *at = field(me, TIMER_AT), *result;
    PyObject *args[] = {SLOT(hub, DEADLINES), me, deadline};
    int earlier = 1;

    set_field(me, DEADLINE, Py_NewRef(deadline));
    if (at != Py_None) {
        if (PyFloat_CheckExact(at) && PyFloat_CheckExact(deadline))
            earlier = PyFloat_AS_DOUBLE(deadline) < PyFloat_AS_DOUBLE(at);
        else
            earlier = PyObject_RichCompareBool(deadline, at, Py_LT);
    }
    if (earlier <= 0)
        return earlier;
    result = PyObject_VectorcallMethod(str_arm, args, 3, NULL);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* `Hub.park` after `may_switch` and `has_room(2)`; the comments stand beside the Python version.  1: woken; 0: out of time; -1 with
   an exception. */
FLAT int
park_here(PyObject *hub, PyObject *me, PyObject *deadline, PyObject *what, PyObject *seen)
{
    int same, timed_out;

    if (deadline != Py_None && arm(hub, me, deadline) < 0)
        return -1;
    set_field(me, WAITING, Py_NewRef(what));
    set_field(me, PARKED, Py_NewRef(Py_True));
    same = is_same(field(me, PARKS), seen);
    if (same < 0 || (same && switch_to(hub, take_next(hub, beyond, 1)) < 0))
        return -1;
    if (count_resumption(me) < 0)
        return -1;
    set_field(me, PARKED, Py_NewRef(Py_False));
    set_field(me, WAITING, Py_NewRef(Py_None));
    set_field(me, DEADLINE, Py_NewRef(Py_None));
    timed_out = PyObject_IsTrue(field(me, TIMED_OUT));
    if (timed_out)
        set_field(me, TIMED_OUT, Py_NewRef(Py_False));
    if (field(me, INTERRUPTS) != Py_None) {
        PyObject *result = PyObject_CallOneArg(deliver_all, me);
        if (result == NULL)
            return -1;
        Py_DECREF(result);
    }
    return !timed_out;
}

/* Hub.park(me, deadline, what, seen) */
static PyObject *
hub_park(PyObject *hub, PyObject *const *args, Py_ssize_t nargs)
{
    int simple = 0, woken;

    if (nargs == 4 && is_waiter(args[0]) && field(args[0], INTERRUPTS) == Py_None)
        simple = may_switch(hub, args[0]);
    if (simple <= 0)
        return simple < 0 ? NULL : call_slow(slow_park, hub, args, nargs, NULL);
    if (!has_room(2))
        return NULL;
    woken = park_here(hub, args[0], args[1], args[2], args[3]);
    return woken < 0 ? NULL : new_bool(woken);
}

static COLD int
park_by_name(PyObject *hub, PyObject *me, PyObject *deadline, PyObject *what, PyObject *seen)
{
    PyObject *args[] = {hub, me, deadline, what, seen}, *result = PyObject_VectorcallMethod(str_park, args, 5, NULL);
    int woken = result == NULL ? -1 : PyObject_IsTrue(result);

    Py_XDECREF(result);
    return woken;
}

/* `hub.park(...)` of who has seen that there is room: what is counted, or another class has a method of its own for, is called by its
   name. */
FLAT int
park(PyObject *hub, PyObject *me, PyObject *deadline, PyObject *what, PyObject *seen)
{
    int simple = 0;

    if (Py_IS_TYPE(hub, hub_type) && SLOT(hub, COUNTED) == Py_False && field(me, INTERRUPTS) == Py_None)
        simple = may_switch(hub, me);
    if (simple <= 0)
        return simple < 0 ? -1 : park_by_name(hub, me, deadline, what, seen);
    return park_here(hub, me, deadline, what, seen);
}

/* Hub.yield_(me, deliver=deliver_all) */
static PyObject *
hub_yield(PyObject *hub, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *me, *seen, *result;
    int simple = 0, same;

    if ((nargs == 1 || nargs == 2) && is_waiter(args[0]))
        simple = may_switch(hub, args[0]);
    if (simple <= 0)
        return simple < 0 ? NULL : call_slow(slow_yield, hub, args, nargs, NULL);
    if (!has_room(2))
        return NULL;
    me = args[0];
    seen = Py_NewRef(field(me, PARKS));
    set_field(me, WAITING, Py_NewRef(str_its_turn));
    set_field(me, PARKED, Py_NewRef(Py_False));
    same = enqueue(SLOT(hub, RUNQ), me) < 0 ? -1 : is_same(field(me, PARKS), seen);
    Py_DECREF(seen);
    if (same < 0 || (same && switch_to(hub, take_next(hub, 0, 0)) < 0))
        return NULL;
    if (count_resumption(me) < 0)
        return NULL;
    set_field(me, WAITING, Py_NewRef(Py_None));
    if (field(me, INTERRUPTS) != Py_None) {
        result = PyObject_CallOneArg(nargs == 2 ? args[1] : deliver_all, me);
        if (result == NULL)
            return NULL;
        Py_DECREF(result);
    }
    Py_RETURN_NONE;
}

/* readiness */

static int
wake_all(PyObject *waiters, PyObject *runq)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(waiters); i++) {
        PyObject *waiter = Py_NewRef(PyList_GET_ITEM(waiters, i)), *result;
        int parked;

        if (is_waiter(waiter)) {
            parked = field(waiter, PARKED) == Py_True;
            if (parked)
                set_field(waiter, PARKED, Py_NewRef(Py_False));
        }
        else {
            result = PyObject_GetAttr(waiter, str_parked);
            parked = result == NULL ? -1 : PyObject_IsTrue(result);
            Py_XDECREF(result);
            if (parked > 0 && PyObject_SetAttr(waiter, str_parked, Py_False) < 0)
                parked = -1;
        }
        if (parked > 0 && enqueue(runq, waiter) < 0)
            parked = -1;
        Py_DECREF(waiter);
        if (parked < 0)
            return -1;
    }
    return PyList_SetSlice(waiters, 0, PyList_GET_SIZE(waiters), NULL);
}

/* What an event's bits mean; -1 with an exception. */
static long
mask_of(PyObject *event)
{
    static PyObject *last; /* most are the same as the one before */
    static long mask;
    PyObject *number;

    if (event == last)
        return mask;
    number = Py_XNewRef(PyDict_GetItemWithError(masks, event));
    if (number == NULL && !PyErr_Occurred())
        number = PyObject_GetItem(masks, event); /* the first time */
    if (number == NULL)
        return -1;
    mask = PyLong_AsLong(number);
    Py_DECREF(number);
    Py_XSETREF(last, Py_NewRef(event));
    return mask;
}

/* `Netpoll.mark`: whether `level_fd` is among the events; -1 with an exception. */
static int
mark_ready(PyObject *events, PyObject *entries, PyObject *runq, long level_fd)
{
    int level = 0;

    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(events); i++) {
        PyObject *pair = PyList_GET_ITEM(events, i), *fd = PyTuple_GET_ITEM(pair, 0), *entry;
        long mask;

        entry = PyDict_GetItemWithError(entries, fd);
        if (entry == NULL) {
            if (PyErr_Occurred())
                return -1;
            if (PyLong_AsLong(fd) == level_fd)
                level = 1;
            continue;
        }
        Py_INCREF(entry);
        mask = mask_of(PyTuple_GET_ITEM(pair, 1));
        if (mask < 0)
            goto failed;
        if (mask & stays_bits)
            put(entry, STICKY, Py_NewRef(Py_True));
        if (mask & read_bit) {
            put(entry, READABLE, Py_NewRef(Py_True));
            if (PyList_GET_SIZE(SLOT(entry, READERS)) && wake_all(SLOT(entry, READERS), runq) < 0)
                goto failed;
        }
        if (mask & write_bit) {
            put(entry, WRITABLE, Py_NewRef(Py_True));
            if (PyList_GET_SIZE(SLOT(entry, WRITERS)) && wake_all(SLOT(entry, WRITERS), runq) < 0)
                goto failed;
        }
        Py_DECREF(entry);
        continue;
    failed:
        Py_DECREF(entry);
        return -1;
    }
    return level;
}

/* mark(events, entries, masks, runq, level_fd) -> bool */
static PyObject *
mark(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    long level_fd;
    int level;

    if (nargs != 5 || !PyList_Check(args[0]) || !PyDict_Check(args[1]))
        return PyErr_Format(PyExc_TypeError, "mark(events, entries, masks, runq, level_fd)");
    level_fd = PyLong_AsLong(args[4]);
    if (level_fd == -1 && PyErr_Occurred())
        return NULL;
    level = mark_ready(args[0], args[1], args[3], level_fd);
    return level < 0 ? NULL : new_bool(level);
}
