/* Locks: `sync.Lock` and `sync.RLock`.  What is not the usual case is left to the Python version, before anything has happened.

   From a look at a lock to what is done about it no Python code runs, so no other thread and no finalizer comes between. */

static PyTypeObject *mutex_type, *lock_type, *rlock_type, *parker_type, *queue_type;
static PyObject *queue_of, *restore, *interruption, *abandon_wait;
static PyObject *slow_lock_acquire, *slow_lock_acquire_lock, *slow_lock_enter, *slow_lock_release;
static PyObject *slow_lock_exit, *slow_lock_is_owned, *slow_lock_restore, *slow_wait;
static PyObject *slow_rlock_acquire, *slow_rlock_enter, *slow_rlock_release, *slow_rlock_exit;

static PyObject *str_leave, *str_wake;

/* Whether its flag is a flag: that of a lock over a native one is not. */
static inline int
is_plain(PyObject *self)
{
    return SLOT(self, MUTEX_HELD) != NULL && SLOT(self, WAITERS) != NULL;
}

static inline int
has_waiters(PyObject *self)
{
    PyObject *waiters = SLOT(self, WAITERS);

    return waiters != NULL && PyList_Check(waiters) && PyList_GET_SIZE(waiters) > 0;
}

/* Takes a plain lock for the thread `me`, if it is free. */
static int
take(PyObject *self, PyObject *me)
{
    PyObject *one;

    if (SLOT(self, MUTEX_HELD) != Py_False)
        return 0;
    put(self, MUTEX_HELD, Py_NewRef(Py_True));
    if (PyObject_TypeCheck(self, rlock_type)) {
        one = PyLong_FromLong(1); /* a small one is there always */
        put(self, MUTEX_OWNER, Py_NewRef(me));
        put(self, MUTEX_COUNT, one);
    }
    return 1;
}

/* Frees a plain lock that nobody waits for. */
static void
let_go(PyObject *self)
{
    if (PyObject_TypeCheck(self, rlock_type)) {
        put(self, MUTEX_OWNER, PyLong_FromLong(0));
        put(self, MUTEX_COUNT, PyLong_FromLong(0));
    }
    put(self, MUTEX_HELD, Py_NewRef(Py_False));
}

static int
wake_parker(PyObject *parker)
{
    PyObject *hub = get_a(hub_type, parker, PARKER_HUB), *sleeper = get(parker, PARKER_GREENLET), *waker, *result;

    put(parker, PARKER_WOKEN, Py_NewRef(Py_True));
    if (hub == NULL || sleeper == NULL || (waker = get(hub, WAKER)) == NULL)
        return -1;
    if (is_waiter(sleeper) && PyLong_AsUnsignedLong(waker) == PyThread_get_thread_ident()) {
        if (field(sleeper, PARKED) != Py_True)
            return 0;
        return set_field(sleeper, PARKED, Py_NewRef(Py_False)) < 0 ? -1 : enqueue_in(hub, sleeper);
    }
    PyErr_Clear();
    result = PyObject_CallMethodOneArg(hub, str_wake, sleeper);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

/* Releases a held plain lock that somebody waits for: 1; 0 if the first waiter is none for this; -1 with an exception. */
static int
hand_over(PyObject *self)
{
    PyObject *waiters = SLOT(self, WAITERS), *parker = PyList_GET_ITEM(waiters, 0), *hub, *owner;
    int result = 0;

    if (!Py_IS_TYPE(parker, parker_type))
        return 0;
    hub = SLOT(parker, PARKER_HUB);
    if (hub == NULL || !PyObject_TypeCheck(hub, hub_type) || SLOT(hub, ABANDONED) != Py_False)
        return 0;
    if (!has_room(PyThreadState_Get(), 4)) /* for the calls that wake it, which must not fail then */
        return -1;
    Py_INCREF(parker);
    if (PyList_SetSlice(waiters, 0, 1, NULL) < 0) {
        Py_DECREF(parker);
        return -1;
    }
    if (SLOT(parker, PARKER_URGENT) == Py_True) {
        owner = get(parker, PARKER_OWNER);
        put(parker, PARKER_GRANTED, Py_NewRef(Py_True)); /* it stays locked */
        if (owner == NULL)
            result = -1;
        else if (PyObject_TypeCheck(self, rlock_type)) {
            put(self, MUTEX_OWNER, Py_NewRef(owner));
            put(self, MUTEX_COUNT, PyLong_FromLong(1));
        }
    }
    else {
        let_go(self);
    }
    if (result == 0)
        result = wake_parker(parker);
    Py_DECREF(parker);
    return result < 0 ? -1 : 1;
}

/* `release` of a held plain lock that somebody waits for. */
static PyObject *
give_to_waiter(PyObject *self, PyObject *slow, PyObject *const *args, Py_ssize_t nargs)
{
    int done = hand_over(self);

    if (done < 0)
        return NULL;
    if (!done)
        return call_slow(slow, self, args, nargs, NULL);
    Py_RETURN_NONE;
}

/* waiting */

/* HAZARD: who was woken must not leave with the waker's word, see `DhagaParker.park`: 1, what ends it is left for the next wait; -1,
   it is raised. */
static COLD int
postpone_exit(PyObject *parker, PyObject *me)
{
    PyObject *type, *value, *traceback, *done;

    if (SLOT(parker, PARKER_WOKEN) != Py_True || !PyErr_ExceptionMatches(interruption))
        return -1;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    if (traceback != NULL)
        PyException_SetTraceback(value, traceback);
    done = PyObject_CallFunction(restore, "O[O]", me, value);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    Py_XDECREF(done);
    return done == NULL ? -1 : 1;
}

/* `DhagaParker.park`: 1, woken; 0, out of time; -1 with an exception. */
static int
park_in(PyThreadState *state, PyObject *parker, PyObject *hub, PyObject *me, PyObject *deadline, PyObject *what)
{
    while (1) {
        PyObject *seen;
        int woken;

        if (SLOT(parker, PARKER_WOKEN) == Py_True)
            return 1;
        seen = Py_XNewRef(get_field(me, PARKS));
        if (seen == NULL)
            return -1;
        woken = park(state, hub, me, deadline, what, seen);
        Py_DECREF(seen);
        if (woken < 0)
            return postpone_exit(parker, me);
        if (!woken)
            return SLOT(parker, PARKER_WOKEN) == Py_True;
    }
}

static PyObject *
make_parker(PyObject *hub, PyObject *me, PyObject *owner)
{
    PyObject *parker = parker_type->tp_alloc(parker_type, 0);

    if (parker == NULL)
        return NULL;
    SLOT(parker, PARKER_HUB) = Py_NewRef(hub);
    SLOT(parker, PARKER_GREENLET) = Py_NewRef(me);
    SLOT(parker, PARKER_OWNER) = Py_NewRef(owner);
    SLOT(parker, PARKER_WOKEN) = Py_NewRef(Py_False);
    SLOT(parker, PARKER_GRANTED) = Py_NewRef(Py_False);
    SLOT(parker, PARKER_URGENT) = Py_NewRef(Py_False);
    return parker;
}

/* 1 if it was taken out; 0 if a waker chose it already, and has woken it by now; -1 with an exception. */
static int
leave(PyObject *waiters, PyObject *parker)
{
    PyObject *result = PyObject_CallMethodOneArg(waiters, str_leave, parker);
    int left = result == NULL ? -1 : result == Py_True;

    Py_XDECREF(result);
    return left;
}

/* The loop of `Mutex._wait`; `parker` stands in `waiters`. */
static int
wait_in(PyThreadState *state, PyObject *self, PyObject *waiters, PyObject *parker, PyObject *hub, PyObject *greenlet,
        PyObject *deadline, PyObject *me)
{
    if (take(self, me))
        return leave(waiters, parker) < 0 ? -1 : 1;
    while (1) {
        int woken = park_in(state, parker, hub, greenlet, deadline, self);

        if (woken < 0)
            return -1;
        if (!woken) {
            int left = leave(waiters, parker);
            if (left != 0)
                return left < 0 ? -1 : 0;
        }
        if (SLOT(parker, PARKER_GRANTED) == Py_True || take(self, me))
            return 1;
        if (!woken)
            return 0;
        put(parker, PARKER_WOKEN, Py_NewRef(Py_False));
        put(parker, PARKER_URGENT, Py_NewRef(Py_True));
        if (PyList_Insert(waiters, 0, parker) < 0)
            return -1;
    }
}

static COLD void
leave_with_exception(PyObject *self, PyObject *waiters, PyObject *parker)
{
    PyObject *type, *value, *traceback, *done;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    done = PyObject_CallFunctionObjArgs(abandon_wait, self, waiters, parker, NULL);
    if (done != NULL) {
        Py_DECREF(done);
        PyErr_Restore(type, value, traceback);
    }
    else {
        PyObject *new_type, *new_value, *new_traceback;

        PyErr_Fetch(&new_type, &new_value, &new_traceback);
        PyErr_NormalizeException(&new_type, &new_value, &new_traceback);
        PyException_SetContext(new_value, value);
        PyErr_Restore(new_type, new_value, new_traceback);
        Py_XDECREF(type);
        Py_XDECREF(traceback);
    }
}

/* Waits for a plain lock: `deadline` in monotonic seconds or None, `me` the thread that is to own it.  NULL without an exception:
   Python has to do it. */
static __attribute__((noinline)) PyObject *
wait_plain(PyObject *self, PyObject *deadline, PyObject *me)
{
    PyObject *greenlet = (PyObject *)PyGreenlet_GetCurrent(), *hub, *waiters, *parker;
    PyThreadState *state = PyThreadState_Get();
    int result;

    if (greenlet == NULL) {
        PyErr_Clear();
        return NULL;
    }
    hub = is_waiter(greenlet) ? field(greenlet, HUB) : NULL;
    if (hub == NULL || hub == Py_None || !PyObject_TypeCheck(hub, hub_type) || !is_plain(self)) {
        Py_DECREF(greenlet);
        return NULL;
    }
    if (!has_room(state, 8)) { /* before it stands in the queue */
        Py_DECREF(greenlet);
        return NULL;
    }
    Py_INCREF(hub);
    waiters = SLOT(self, WAITERS);
    waiters = Py_IS_TYPE(waiters, queue_type) ? Py_NewRef(waiters) : PyObject_CallOneArg(queue_of, self);
    parker = waiters == NULL ? NULL : make_parker(hub, greenlet, me);
    if (parker == NULL || PyList_Append(waiters, parker) < 0) {
        result = -1; /* nobody knows of it */
    }
    else {
        result = wait_in(state, self, waiters, parker, hub, greenlet, deadline, me);
        if (result < 0)
            leave_with_exception(self, waiters, parker);
    }
    Py_XDECREF(parker);
    Py_XDECREF(waiters);
    Py_DECREF(hub);
    Py_DECREF(greenlet);
    return result < 0 ? NULL : new_bool(result);
}

/* Mutex._wait(deadline, me=0) */
static PyObject *
mutex_wait(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *result = NULL;

    if (nargs == 1 || nargs == 2) {
        PyObject *me = nargs == 2 ? Py_NewRef(args[1]) : PyLong_FromLong(0);
        result = wait_plain(self, args[0], me);
        Py_DECREF(me);
    }
    if (result != NULL || PyErr_Occurred())
        return result;
    return call_slow(slow_wait, self, args, nargs, NULL);
}

/* What `acquire` is asked for. */
enum { PYTHON = -1, LOOK, WAIT };

/* The usual arguments of `acquire`: none, a bool, True and a timeout; PYTHON for all else, and what is wrong.
   `timeout` is borrowed, in seconds; NULL: without end. */
static int
understand(PyObject *const *args, Py_ssize_t nargs, PyObject *names, PyObject **timeout)
{
    double seconds;

    *timeout = NULL;
    if (names != NULL || nargs > 2 || (nargs > 0 && !PyBool_Check(args[0])))
        return PYTHON;
    if (nargs < 2)
        return nargs == 0 || args[0] == Py_True ? WAIT : LOOK;
    if (args[0] != Py_True || (!PyFloat_CheckExact(args[1]) && !PyLong_CheckExact(args[1])))
        return PYTHON;
    seconds = PyFloat_AsDouble(args[1]);
    if (seconds == -1.0 && !PyErr_Occurred())
        return WAIT;
    PyErr_Clear();
    if (!(seconds >= 0.0 && seconds <= 1e9)) /* as long as any that is allowed, or too long */
        return PYTHON;
    *timeout = args[1];
    return WAIT;
}

static COLD PyObject *
wait_in_python(PyObject *self, PyObject *deadline, PyObject *me)
{
    PyObject *args[] = {deadline, me};

    return call_slow(slow_wait, self, args, 2, NULL);
}

/* Waits for a held lock in C if it can. */
FLAT PyObject *
wait_for(PyObject *self, PyObject *timeout, PyObject *me)
{
    PyObject *deadline = timeout == NULL ? Py_NewRef(Py_None) : deadline_of(timeout), *result;

    if (deadline == NULL)
        return NULL;
    result = wait_plain(self, deadline, me);
    if (result == NULL && !PyErr_Occurred())
        result = wait_in_python(self, deadline, me);
    Py_DECREF(deadline);
    return result;
}

/* plain locks */

FLAT PyObject *
take_or_wait(PyObject *self, int waits, PyObject *timeout)
{
    PyObject *nobody, *result;

    if (SLOT(self, MUTEX_HELD) == Py_False) {
        put(self, MUTEX_HELD, Py_NewRef(Py_True));
        Py_RETURN_TRUE;
    }
    if (!waits)
        Py_RETURN_FALSE;
    nobody = PyLong_FromLong(0);
    result = wait_for(self, timeout, nobody);
    Py_DECREF(nobody);
    return result;
}

FLAT PyObject *
lock_take(PyObject *self, PyObject *slow, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *timeout;
    int asked = understand(args, nargs, names, &timeout);

    if (asked == PYTHON || !is_plain(self))
        return call_slow(slow, self, args, nargs, names);
    if (pay(1, 1) < 0)
        return NULL;
    return take_or_wait(self, asked, timeout);
}

static PyObject *
lock_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    return lock_take(self, slow_lock_acquire, args, nargs, names);
}

/* The old name, of which errors speak since 3.15. */
static PyObject *
lock_acquire_lock(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    return lock_take(self, slow_lock_acquire_lock, args, nargs, names);
}

static PyObject *
lock_enter(PyObject *self, PyObject *ignored)
{
    if (!is_plain(self))
        return call_slow(slow_lock_enter, self, NULL, 0, NULL);
    if (pay(1, 1) < 0)
        return NULL;
    return take_or_wait(self, WAIT, NULL);
}

static PyObject *
lock_give(PyObject *self, PyObject *slow, PyObject *const *args, Py_ssize_t nargs)
{
    if (!is_plain(self))
        return call_slow(slow, self, args, nargs, NULL);
    if (SLOT(self, MUTEX_HELD) != Py_True) {
        PyErr_SetString(PyExc_RuntimeError, "release unlocked lock");
        return NULL;
    }
    if (has_waiters(self))
        return give_to_waiter(self, slow, args, nargs);
    put(self, MUTEX_HELD, Py_NewRef(Py_False));
    Py_RETURN_NONE;
}

static PyObject *
lock_release(PyObject *self, PyObject *ignored)
{
    return lock_give(self, slow_lock_release, NULL, 0);
}

/* Whether a `with` block is left with what it takes. */
static inline int
may_exit(Py_ssize_t nargs)
{
#if PY_VERSION_HEX >= 0x030F0000
    if (nargs != 3) {
        PyErr_Format(PyExc_TypeError, "__exit__ expected 3 arguments, got %zd", nargs);
        return 0;
    }
#endif
    return 1;
}

static PyObject *
lock_exit(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (!may_exit(nargs))
        return NULL;
    return lock_give(self, slow_lock_exit, args, nargs);
}

static PyObject *
lock_is_owned(PyObject *self, PyObject *ignored)
{
    return is_plain(self) ? Py_NewRef(SLOT(self, MUTEX_HELD)) : call_slow(slow_lock_is_owned, self, NULL, 0, NULL);
}

static PyObject *
lock_acquire_restore(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (is_plain(self) && SLOT(self, MUTEX_HELD) == Py_False && nargs <= 1) {
        put(self, MUTEX_HELD, Py_NewRef(Py_True));
        Py_RETURN_NONE;
    }
    return call_slow(slow_lock_restore, self, args, nargs, NULL);
}

/* reentrant locks */

/* The token of a dhaga, an integer, borrowed from it; NULL: Python has to find it. */
static PyObject *
token(void)
{
    PyObject *me = (PyObject *)PyGreenlet_GetCurrent(), *found;

    if (me == NULL) {
        PyErr_Clear();
        return NULL;
    }
    found = is_waiter(me) ? field(me, TOKEN) : NULL;
    Py_DECREF(me); /* it runs, so it stays */
    return found != NULL && PyLong_CheckExact(found) ? found : NULL;
}

static int
owns(PyObject *self, PyObject *me)
{
    PyObject *owner = SLOT(self, MUTEX_OWNER);

    return owner == me || (PyLong_CheckExact(owner) && PyObject_RichCompareBool(owner, me, Py_EQ) > 0);
}

static int
is_plain_rlock(PyObject *self)
{
    return is_plain(self) && SLOT(self, MUTEX_OWNER) != NULL && SLOT(self, MUTEX_COUNT) != NULL;
}

static PyObject *
rlock_take(PyObject *self, PyObject *slow, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    PyObject *me = NULL, *count, *result, *timeout;
    int asked = understand(args, nargs, names, &timeout);

    if (asked != PYTHON)
        me = token();
    if (me == NULL || !is_plain_rlock(self))
        return call_slow(slow, self, args, nargs, names);
    if (owns(self, me)) {
        long held = PyLong_AsLong(SLOT(self, MUTEX_COUNT));

        if ((held == -1 && PyErr_Occurred()) || held == LONG_MAX || (count = PyLong_FromLong(held + 1)) == NULL)
            return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_OverflowError, "Internal lock count overflowed");
        put(self, MUTEX_COUNT, count);
        Py_RETURN_TRUE;
    }
    if (pay(1, 1) < 0)
        return NULL;
    if (take(self, me))
        Py_RETURN_TRUE;
    if (asked == LOOK)
        Py_RETURN_FALSE;
    Py_INCREF(me);
    result = wait_for(self, timeout, me);
    Py_DECREF(me);
    return result;
}

static PyObject *
rlock_acquire(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    return rlock_take(self, slow_rlock_acquire, args, nargs, names);
}

static PyObject *
rlock_enter(PyObject *self, PyObject *ignored)
{
    return rlock_take(self, slow_rlock_enter, NULL, 0, NULL);
}

static PyObject *
rlock_give(PyObject *self, PyObject *slow, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *me = token(), *number;
    long count;

    if (me == NULL || !is_plain_rlock(self) || !owns(self, me))
        return call_slow(slow, self, args, nargs, NULL); /* raises, perhaps */
    count = PyLong_AsLong(SLOT(self, MUTEX_COUNT));
    if (count == -1 && PyErr_Occurred())
        return NULL;
    if (--count) {
        number = PyLong_FromLong(count);
        if (number == NULL)
            return NULL;
        put(self, MUTEX_COUNT, number);
        Py_RETURN_NONE;
    }
    if (has_waiters(self))
        return give_to_waiter(self, slow, args, nargs);
    let_go(self);
    Py_RETURN_NONE;
}

static PyObject *
rlock_release(PyObject *self, PyObject *ignored)
{
    return rlock_give(self, slow_rlock_release, NULL, 0);
}

static PyObject *
rlock_exit(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    if (!may_exit(nargs))
        return NULL;
    return rlock_give(self, slow_rlock_exit, args, nargs);
}
