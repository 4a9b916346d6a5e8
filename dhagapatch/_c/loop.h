/* The scheduler's loop: `Hub._turn` and `Netpoll.run`, while nothing but dhagas and descriptors is of interest. */

/* `Hub._turn`; -1 with an exception. */
static long
run_turn(PyObject *hub)
{
    PyObject *number, *next;
    long ready, left;

    if (SLOT(hub, NOTIFIED) != Py_False) {
        number = PyObject_CallOneArg(real_turn, hub);
        ready = number == NULL ? -1 : PyLong_AsLong(number);
        Py_XDECREF(number);
        return ready;
    }
    ready = (long)size_of(hub, RUNQ);
    if (ready < 0 || (number = PyLong_FromLong(ready)) == NULL)
        return -1;
    put(hub, LEFT, number);
    while (1) {
        number = get(hub, LEFT);
        left = number == NULL ? -1 : PyLong_AsLong(number); /* whoever gave way to another has counted, too */
        if (left <= 0 || size_of(hub, RUNQ) <= 0)
            break;
        number = PyLong_FromLong(left - 1);
        if (number == NULL)
            return -1;
        put(hub, LEFT, number);
        next = get(hub, RUNQ);
        next = next == NULL ? NULL : dequeue(next);
        if (next == NULL || resume(hub, next) < 0)
            return -1;
    }
    if (PyErr_Occurred())
        return -1;
    return ready && ready - left < 1 ? 1 : ready - left;
}

static int
call_method(PyObject *object, PyObject *name)
{
    PyObject *result = PyObject_CallMethodNoArgs(object, name);

    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static int
now_is(PyObject *clock, PyObject **object, double *seconds)
{
    Py_XSETREF(*object, call_plain(clock));
    if (*object == NULL)
        return -1;
    *seconds = PyFloat_AsDouble(*object);
    return *seconds == -1.0 && PyErr_Occurred() ? -1 : 0;
}

/* The next deadline, early perhaps; infinite if there is none; -1 with an exception. */
static double
next_deadline(PyObject *heap)
{
    PyObject *first;

    if (PyList_GET_SIZE(heap) == 0)
        return Py_HUGE_VAL;
    first = PyList_GET_ITEM(heap, 0);
    if (!PyTuple_Check(first) || PyTuple_GET_SIZE(first) == 0) {
        PyErr_SetString(PyExc_TypeError, "a deadline is a tuple");
        return -1.0;
    }
    first = PyTuple_GET_ITEM(first, 0);
    return PyFloat_CheckExact(first) ? PyFloat_AS_DOUBLE(first) : PyFloat_AsDouble(first);
}

/* `Netpoll._poll`: a new list, or NULL with an exception. */
static PyObject *
poll_once(PyObject *netpoll, PyObject *hub, PyObject *timeout)
{
    PyObject *poller = Py_XNewRef(get(netpoll, POLLER)), *events, *number, *entries, *runq;
    int level = -1;
    long level_fd;

    if (poller == NULL)
        return NULL;
    /* by the Python method: who looks from outside knows by its frame that the hub waits there */
    events = PyObject_CallMethodOneArg(poller, str_edges, timeout);
    number = events == NULL ? NULL : PyObject_GetAttr(poller, str_level_fd);
    level_fd = number == NULL ? -1 : PyLong_AsLong(number);
    Py_XDECREF(number);
    Py_DECREF(poller);
    if (events == NULL)
        return NULL;
    if (level_fd == -1 && PyErr_Occurred()) {
        Py_DECREF(events);
        return NULL;
    }
    entries = Py_XNewRef(get_a(&PyDict_Type, hub, ENTRIES));
    runq = entries == NULL ? NULL : Py_XNewRef(get(hub, RUNQ));
    if (runq != NULL && PyList_Check(events))
        level = mark_ready(events, entries, runq, level_fd);
    else if (runq != NULL)
        PyErr_SetString(PyExc_TypeError, "events are a list");
    Py_XDECREF(entries);
    Py_XDECREF(runq);
    Py_DECREF(events);
    if (level < 0)
        return NULL;
    return level ? PyObject_CallMethodNoArgs(netpoll, str_told_levels) : PyList_New(0);
}

/* What the loop needs; the objects are its own. */
typedef struct {
    PyObject *netpoll, *hub, *heap, *clock, *now;
} Loop;

/* Turns and polls; a new list, or NULL with an exception. */
static PyObject *
run_loop(Loop *loop, double until)
{
    PyObject *netpoll = loop->netpoll, *hub = loop->hub, *timeout, *ready;
    PyObject *lent, *idle;
    double now, polled = 0.0, next, seconds, since;
    Py_ssize_t waiting;
    int quiet = 0, over, at_once, limit;
    long resumed;

    while (1) {
        resumed = run_turn(hub);
        if (resumed < 0 || now_is(loop->clock, &loop->now, &now) < 0)
            return NULL;
        if (resumed)
            quiet = 0;
        next = next_deadline(loop->heap);
        if (next <= now) {
            PyObject *done = PyErr_Occurred() ? NULL : PyObject_CallMethodOneArg(netpoll, str_expire, loop->now);
            if (done == NULL)
                return NULL;
            Py_DECREF(done);
            next = next_deadline(loop->heap);
            if (PyErr_Occurred())
                return NULL;
        }
        over = SLOT(netpoll, LOOP_WORK) != Py_False || until <= now;
        waiting = size_of(hub, RUNQ);
        lent = get(netpoll, LENT);
        if (waiting < 0 || lent == NULL)
            return NULL;
        at_once = over || waiting > 0;
        limit = 0;
        if (at_once) {
            if (!over && now - polled < poll_every)
                continue;
            seconds = 0.0;
            since = now - PyFloat_AsDouble(lent);
            if (PyErr_Occurred())
                return NULL;
            if (since > lend_every) {
                PyObject *done = PyObject_CallMethodOneArg(netpoll, str_lend, loop->now);
                if (done == NULL)
                    return NULL;
                Py_DECREF(done);
            }
        }
        else {
            if (until < next)
                next = until;
            seconds = next - now > 0.0 ? next - now : 0.0;
            limit = !quiet && until == Py_HUGE_VAL && seconds > quiet_after;
            if (limit)
                seconds = quiet_after;
            else if (seconds > longest && seconds != Py_HUGE_VAL)
                seconds = longest;
            if (PyErr_CheckSignals() < 0) /* the calls of this loop do not look, as bytecode does */
                return NULL;
            /* and a handler, or a finalizer, may have changed what counts */
            waiting = size_of(hub, RUNQ);
            if (waiting < 0)
                return NULL;
            if (SLOT(hub, NOTIFIED) != Py_False || SLOT(netpoll, LOOP_WORK) != Py_False || waiting > 0
                || next_deadline(loop->heap) < next)
                continue;
        }
        timeout = seconds == Py_HUGE_VAL ? Py_NewRef(Py_None) : PyFloat_FromDouble(seconds);
        if (timeout == NULL)
            return NULL;
        idle = get(netpoll, ON_IDLE);
        if (idle != Py_None) {
            PyObject *asked = idle == NULL ? NULL : PyObject_CallOneArg(idle, timeout);
            Py_SETREF(timeout, asked);
            if (asked == NULL)
                return NULL;
            limit = limit && PyFloat_Check(timeout) && PyFloat_AS_DOUBLE(timeout) == quiet_after;
        }
        ready = poll_once(netpoll, hub, timeout);
        Py_DECREF(timeout);
        if (ready == NULL)
            return NULL;
        waiting = size_of(netpoll, ON_BUSY);
        if (waiting < 0 || (waiting > 0 && call_method(netpoll, str_tell_busy) < 0)) {
            Py_DECREF(ready);
            return NULL;
        }
        polled = 0.0;
        waiting = size_of(hub, RUNQ);
        if (waiting < 0 || (waiting > 0 && now_is(loop->clock, &loop->now, &polled) < 0)) {
            Py_DECREF(ready);
            return NULL;
        }
        if (over || !PyList_Check(ready) || PyList_GET_SIZE(ready))
            return ready;
        Py_DECREF(ready);
        if (limit) {
            quiet = 1;
            if (call_method(netpoll, str_on_quiet) < 0)
                return NULL;
        }
    }
}

/* Whether an attribute of `object` is its bound method `function`; a new reference to what it is bound to, or NULL. */
static PyObject *
bound_to(PyObject *object, PyObject *name, PyObject *function)
{
    PyObject *method = PyObject_GetAttr(object, name), *self = NULL;

    if (method != NULL && PyMethod_Check(method) && PyMethod_GET_FUNCTION(method) == function)
        self = Py_NewRef(PyMethod_GET_SELF(method));
    Py_XDECREF(method);
    if (method == NULL)
        PyErr_Clear();
    return self;
}

/* Netpoll.run(until, done=None).  What is exchanged for one that counts is seen here: it has the run begin anew. */
static PyObject *
netpoll_run(PyObject *netpoll, PyObject *const *args, Py_ssize_t nargs)
{
    Loop loop = {netpoll, NULL, NULL, NULL, NULL};
    PyObject *self = NULL, *result = NULL;
    double until = Py_HUGE_VAL;
    int simple = nargs == 1;

    if (simple && args[0] != Py_None) {
        until = PyFloat_AsDouble(args[0]);
        if (until == -1.0 && PyErr_Occurred())
            return NULL;
    }
    if (simple) {
        loop.hub = bound_to(netpoll, str_turn, real_turn);
        self = bound_to(netpoll, str_poll, real_poll);
        simple = loop.hub != NULL && self != NULL && PyObject_TypeCheck(loop.hub, hub_type);
    }
    if (simple) {
        PyObject *deadlines = get(loop.hub, DEADLINES);

        loop.heap = deadlines == NULL ? NULL : PyObject_GetAttr(deadlines, str_heap);
        if (loop.heap != NULL && !PyList_CheckExact(loop.heap)) {
            PyErr_SetString(PyExc_TypeError, "the heap of deadlines is a list");
            Py_CLEAR(loop.heap);
        }
        loop.clock = loop.heap == NULL ? NULL : PyObject_GetAttr(real_module, str_monotonic);
        if (loop.clock != NULL)
            result = run_loop(&loop, until);
    }
    else {
        result = call_slow(slow_run, netpoll, args, nargs, NULL);
    }
    Py_XDECREF(loop.hub);
    Py_XDECREF(self);
    Py_XDECREF(loop.heap);
    Py_XDECREF(loop.clock);
    Py_XDECREF(loop.now);
    return result;
}
