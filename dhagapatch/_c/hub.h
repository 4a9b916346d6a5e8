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

/* What the interpreter keeps for an OS thread, and greenlet does not carry (see `core.threadstate`).

   The dictionary of the thread's state (the guard of `repr`, ctypes' errno, numpy's errstate, ...): each dhaga has its own, and
   whoever is none, the hub and the main flow, has the OS thread's.  While a dhaga runs, its hub's OUTSIDE holds that; it is empty
   otherwise.  So a dhaga puts the thread's back before it switches, and takes its own when it is resumed.

   What is set seldom is left to Python, in `Hub._carry`: so at a switch that is made here, there is nothing of it.  Of that, only
   what a trace function leaves that waits (`tracing`, and the event) can't be reached there. */

#if PY_VERSION_HEX < 0x030C0000
#define EVENT tracing_what
#define NO_EVENT 0
#else
#define EVENT what_event
#define NO_EVENT -1
#endif

static inline int
has_hooks(PyThreadState *state)
{
    return ((uintptr_t)state->async_gen_firstiter | (uintptr_t)state->async_gen_finalizer
            | (uintptr_t)state->coroutine_origin_tracking_depth | (uintptr_t)state->tracing) != 0;
}

/* Whether the switch may be made here: 1, 0 (let Python do it), or -1 with an exception. */
static int
may_switch(PyThreadState *state, PyObject *hub, PyObject *me)
{
    int loop;

    if (!is_waiter(me) || !PyObject_TypeCheck(hub, hub_type) || state->c_traceobj != NULL || state->c_profilefunc != NULL
        || has_hooks(state))
        return 0;
    loop = has_running_loop();
    return loop < 0 ? -1 : !loop;
}

static COLD int
is_equal(PyObject *one, PyObject *other)
{
    int same;

    if (one == NULL || other == NULL)
        return -1;
    Py_INCREF(one); /* borrowed, and a comparison may run anything */
    same = PyObject_RichCompareBool(one, other, Py_EQ);
    Py_DECREF(one);
    return same;
}

/* Of two, which may be missing (with an exception). */
static inline int
is_same(PyObject *one, PyObject *other)
{
    return one == other && one != NULL ? 1 : is_equal(one, other);
}

/* The next of the run queue, taken out, if whoever gives way may go on to it by itself; NULL: the hub is next, or an exception.
   HAZARD: one that has not begun is left to the hub (it is false). */
static PyObject *
take_next(PyObject *hub, long least, int unless_loop_work)
{
    PyObject *runq = get(hub, RUNQ), *first, *left, *netpoll;
    long count;
    int ready;

    if (runq == NULL || PyObject_Size(runq) <= 0 || (left = get(hub, LEFT)) == NULL)
        return NULL;
    count = PyLong_AsLong(left);
    if (count <= 0) {
        if (count <= least || (netpoll = get_a(netpoll_type, hub, NETPOLL)) == NULL)
            return NULL;
        if (unless_loop_work && SLOT(netpoll, LOOP_WORK) != Py_False)
            return NULL;
    }
    first = PySequence_GetItem(runq, 0);
    if (first == NULL)
        return NULL;
    ready = PyObject_IsTrue(first);
    Py_DECREF(first);
    if (ready <= 0 || (left = PyLong_FromLong(count - 1)) == NULL)
        return NULL;
    put(hub, LEFT, left);
    runq = get(hub, RUNQ);
    return runq == NULL ? NULL : dequeue(runq);
}

/* What is monitored (see `core.monitored`) has a version, above the other bits of this word. */
#if PY_VERSION_HEX >= 0x030D0000
#define EVENTS_BITS 8
#define VERSION_OF(state) ((state)->eval_breaker >> EVENTS_BITS)

/* `result`, or -1 with an exception. */
static COLD int
catch_up_with(PyThreadState *state, int result)
{
    PyObject *error = PyErr_GetRaisedException(), *number = PyLong_FromSize_t(VERSION_OF(state)), *done = NULL;

    state->tracing++; /* no tool is told of it */
    if (number != NULL)
        done = PyObject_CallOneArg(catch_up, number);
    state->tracing--;
    Py_XDECREF(number);
    if (done == NULL)
        result = -1;
    else if (error != NULL)
        PyErr_SetRaisedException(Py_NewRef(error));
    Py_XDECREF(done);
    Py_XDECREF(error);
    return result;
}
#endif

/* Switches to `next`, whose reference it takes, or to the hub.  The dictionary of the thread's state stays as it is. */
FLAT int
switch_only(PyObject *hub, PyObject *next)
{
    PyObject *result;
    Latch *latches;
#ifdef VERSION_OF
    PyThreadState *state = PyThreadState_Get();
    uintptr_t version = VERSION_OF(state);
#endif

    if (next == NULL) {
        next = PyErr_Occurred() ? NULL : get(hub, GREENLET);
        if (next == NULL)
            return -1;
        Py_INCREF(next);
    }
    latches = suspend_latches();
    if (Py_IS_TYPE(next, dhaga_type) || PyObject_TypeCheck(next, &PyGreenlet_Type))
        result = PyGreenlet_Switch((PyGreenlet *)next, NULL, NULL);
    else
        result = PyObject_CallMethodNoArgs(next, str_switch);
    resume_latches(latches);
    Py_DECREF(next);
    Py_XDECREF(result);
#ifdef VERSION_OF
    if (VERSION_OF(state) != version)
        return catch_up_with(state, result == NULL ? -1 : 0);
#endif
    return result == NULL ? -1 : 0;
}

/* Takes the running dhaga's dictionary out, `own`, which may be NULL; 0: the caller is no dhaga. */
static inline int
step_out(PyThreadState *state, PyObject *hub, PyObject **own)
{
    PyObject *outside = SLOT(hub, OUTSIDE);

    if (outside == NULL)
        return 0;
    *own = state->dict;
    state->dict = outside;
    SLOT(hub, OUTSIDE) = NULL;
    return 1;
}

/* Puts it back. */
static inline void
step_in(PyThreadState *state, PyObject *hub, PyObject *own)
{
    if (SLOT(hub, OUTSIDE) == NULL && state->dict != NULL) {
        SLOT(hub, OUTSIDE) = state->dict;
        state->dict = own;
    }
    else {
        Py_XDECREF(own); /* HAZARD: not resumed by the scheduler, but by another dhaga, whose dictionary this is; or the thread ends */
    }
}

/* The same, of two greenlets. */
FLAT int
switch_to(PyThreadState *state, PyObject *hub, PyObject *next)
{
    PyObject *own = NULL;
    int inside = step_out(state, hub, &own), result = switch_only(hub, next);

    if (inside)
        step_in(state, hub, own);
    return result;
}

/* A thread begins: with nothing.  0, or -1 with an exception. */
static int
begin_thread(PyObject *hub)
{
    PyThreadState *state = PyThreadState_Get();

    if (state->dict == NULL && PyThreadState_GetDict() == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    if (SLOT(hub, OUTSIDE) == NULL) {
        SLOT(hub, OUTSIDE) = state->dict;
        state->dict = NULL;
    }
    return 0;
}

/* A thread has ended; after this finalizers have run. */
static void
end_thread(PyObject *hub)
{
    PyThreadState *state = PyThreadState_Get();
    PyObject *own = NULL;

    state->coroutine_origin_tracking_depth = 0;
    state->tracing = 0;
    Py_CLEAR(state->async_gen_firstiter);
    Py_CLEAR(state->async_gen_finalizer);
    step_out(state, hub, &own);
    Py_XDECREF(own);
}

/* Resumes `next`, whose reference it takes, from the hub. */
static int
resume(PyObject *hub, PyObject *next)
{
    int result;

    if (Py_IS_TYPE(next, dhaga_type) && SLOT(next, CALL) != Py_None && !PyGreenlet_STARTED((PyGreenlet *)next) && begin_thread(hub) < 0) {
        Py_DECREF(next);
        return -1;
    }
    result = switch_only(hub, next);
    if (SLOT(hub, OUTSIDE) != NULL || has_hooks(PyThreadState_Get()))
        end_thread(hub); /* it has not come back by a wait */
    return result;
}

/* What `Hub._carry` keeps of a greenlet's. */
typedef struct {
    PyObject *own; /* the dictionary of a dhaga, NULL: it has none yet */
    int inside;    /* a dhaga's; put back once */
    int tracing;   /* how deep it is in trace functions */
    int event;     /* of which they are told */
} Taken;

#define TAKEN "dhagapatch._speedups.take_state"

static void
free_taken(PyObject *capsule)
{
    Taken *taken = PyCapsule_GetPointer(capsule, TAKEN);

    Py_XDECREF(taken->own);
    PyMem_Free(taken);
}

/* take_state(hub) -> what `put_state` is to be given. */
static PyObject *
take_state(PyObject *module, PyObject *hub)
{
    PyThreadState *state = PyThreadState_Get();
    PyObject *capsule;
    Taken *taken;

    if (hub_type == NULL || !PyObject_TypeCheck(hub, hub_type))
        return PyErr_Format(PyExc_TypeError, "take_state() takes a hub");
    taken = PyMem_Calloc(1, sizeof(Taken));
    if (taken == NULL)
        return PyErr_NoMemory();
    capsule = PyCapsule_New(taken, TAKEN, free_taken);
    if (capsule == NULL) {
        PyMem_Free(taken);
        return NULL;
    }
    taken->inside = step_out(state, hub, &taken->own);
    taken->tracing = state->tracing;
    taken->event = state->EVENT;
    state->tracing = 0;
    state->EVENT = NO_EVENT;
    return capsule;
}

/* put_state(hub, taken) */
static PyObject *
put_state(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    PyThreadState *state = PyThreadState_Get();
    Taken *taken;

    if (nargs != 2 || hub_type == NULL || !PyObject_TypeCheck(args[0], hub_type) || !PyCapsule_IsValid(args[1], TAKEN))
        return PyErr_Format(PyExc_TypeError, "put_state(hub, taken), which take_state() has given");
    taken = PyCapsule_GetPointer(args[1], TAKEN);
    if (taken->inside) {
        PyObject *own = taken->own;

        taken->inside = 0;
        taken->own = NULL;
        step_in(state, args[0], own);
    }
    state->tracing = taken->tracing;
    state->EVENT = taken->event;
    Py_RETURN_NONE;
}

/* resume(hub, runq): `core.monitored.resume_first(runq)`, from the hub. */
static PyObject *
resume_by_name(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *first;

    if (nargs != 2 || hub_type == NULL || !PyObject_TypeCheck(args[0], hub_type))
        return PyErr_Format(PyExc_TypeError, "resume(hub, runq)");
    first = dequeue(args[1]);
    if (first == NULL || resume(args[0], first) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* switch_away(greenlet): `greenlet.switch()`, and afterwards what `core.monitored` is for. */
static PyObject *
switch_away(PyObject *module, PyObject *next)
{
    if (switch_only(NULL, Py_NewRef(next)) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* await_thread(hub): the running dhaga's thread has ended; goes to the hub, and comes back for another thread, or to end. */
static PyObject *
await_thread(PyObject *module, PyObject *hub)
{
    PyObject *me;
    int begins;

    if (hub_type == NULL || !PyObject_TypeCheck(hub, hub_type))
        return PyErr_Format(PyExc_TypeError, "await_thread() takes a hub");
    end_thread(hub);
    if (switch_only(hub, NULL) < 0 || (me = (PyObject *)PyGreenlet_GetCurrent()) == NULL)
        return NULL;
    begins = Py_IS_TYPE(me, dhaga_type) && SLOT(me, CALL) != Py_None;
    Py_DECREF(me);
    if (begins && begin_thread(hub) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* `me` has been resumed once more. */
FLAT int
count_resumption(PyObject *me, int ours)
{
    PyObject *count = get_field_of(me, PARKS, ours);
    long long parks = count == NULL ? -1 : PyLong_AsLongLong(count);

    if (parks == -1 && PyErr_Occurred())
        return -1;
    count = PyLong_FromLongLong((long long)((unsigned long long)parks + 1));
    return count == NULL ? -1 : set_field_of(me, PARKS, count, ours);
}

static int
arm(PyObject *hub, PyObject *me, PyObject *deadline)
{
    PyObject *at, *result, *args[] = {NULL, me, deadline};
    int earlier = 1;

    if (set_field(me, DEADLINE, Py_NewRef(deadline)) < 0 || (at = get_field(me, TIMER_AT)) == NULL)
        return -1;
    if (at != Py_None) {
        if (PyFloat_CheckExact(at) && PyFloat_CheckExact(deadline)) {
            earlier = PyFloat_AS_DOUBLE(deadline) < PyFloat_AS_DOUBLE(at);
        }
        else {
            Py_INCREF(at);
            earlier = PyObject_RichCompareBool(deadline, at, Py_LT);
            Py_DECREF(at);
        }
    }
    if (earlier <= 0)
        return earlier;
    args[0] = get(hub, DEADLINES);
    if (args[0] == NULL)
        return -1;
    result = PyObject_VectorcallMethod(str_arm, args, 3, NULL);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

FLAT int
park_as(PyThreadState *state, PyObject *hub, PyObject *me, PyObject *deadline, PyObject *what, PyObject *seen, int ours)
{
    PyObject *said;
    int same, timed_out;

    if (deadline != Py_None) {
        if (arm(hub, me, deadline) < 0)
            return -1;
    }
    else if (field_of(me, DEADLINE, ours) != Py_None && set_field_of(me, DEADLINE, Py_NewRef(Py_None), ours) < 0)
        return -1;
    if (set_field_of(me, WAITING, Py_NewRef(what), ours) < 0 || set_field_of(me, PARKED, Py_NewRef(Py_True), ours) < 0)
        return -1;
    same = is_same(get_field_of(me, PARKS, ours), seen);
    if (same < 0 || (same && switch_to(state, hub, take_next(hub, beyond, 1)) < 0))
        return -1;
    renew_budget();
    if (count_resumption(me, ours) < 0 || set_field_of(me, PARKED, Py_NewRef(Py_False), ours) < 0
        || set_field_of(me, WAITING, Py_NewRef(Py_None), ours) < 0)
        return -1;
    if (field_of(me, DEADLINE, ours) != Py_None && set_field_of(me, DEADLINE, Py_NewRef(Py_None), ours) < 0)
        return -1;
    said = get_field_of(me, TIMED_OUT, ours);
    if (said == NULL)
        return -1;
    timed_out = said == Py_False ? 0 : PyObject_IsTrue(said);
    if (timed_out && (timed_out < 0 || set_field_of(me, TIMED_OUT, Py_NewRef(Py_False), ours) < 0))
        return -1;
    said = get_field_of(me, INTERRUPTS, ours);
    if (said == NULL)
        return -1;
    if (said != Py_None) {
        PyObject *result = PyObject_CallOneArg(deliver_all, me);
        if (result == NULL)
            return -1;
        Py_DECREF(result);
    }
    return !timed_out;
}

/* Of a greenlet that is not ours. */
static __attribute__((noinline)) int
park_foreign(PyThreadState *state, PyObject *hub, PyObject *me, PyObject *deadline, PyObject *what, PyObject *seen)
{
    return park_as(state, hub, me, deadline, what, seen, 0);
}

/* `Hub.park` after `may_switch` and `has_room(2)`; the comments stand beside the Python version.  1: woken; 0: out of time; -1 with
   an exception. */
FLAT int
park_here(PyThreadState *state, PyObject *hub, PyObject *me, PyObject *deadline, PyObject *what, PyObject *seen)
{
    if (Py_IS_TYPE(me, dhaga_type))
        return park_as(state, hub, me, deadline, what, seen, 1);
    return park_foreign(state, hub, me, deadline, what, seen);
}

/* Hub.park(me, deadline, what, seen) */
static PyObject *
hub_park(PyObject *hub, PyObject *const *args, Py_ssize_t nargs)
{
    PyThreadState *state = PyThreadState_Get();
    int simple = 0, woken;

    if (nargs == 4 && is_waiter(args[0]) && field(args[0], INTERRUPTS) == Py_None)
        simple = may_switch(state, hub, args[0]);
    if (simple <= 0)
        return simple < 0 ? NULL : call_slow(slow_park, hub, args, nargs, NULL);
    if (!has_room(state, 2))
        return NULL;
    woken = park_here(state, hub, args[0], args[1], args[2], args[3]);
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
park(PyThreadState *state, PyObject *hub, PyObject *me, PyObject *deadline, PyObject *what, PyObject *seen)
{
    int simple = 0;

    if (Py_IS_TYPE(hub, hub_type) && SLOT(hub, COUNTED) == Py_False && field(me, INTERRUPTS) == Py_None)
        simple = may_switch(state, hub, me);
    if (simple <= 0)
        return simple < 0 ? -1 : park_by_name(hub, me, deadline, what, seen);
    return park_here(state, hub, me, deadline, what, seen);
}

/* Hub.yield_(me, deliver=deliver_all) */
static PyObject *
hub_yield(PyObject *hub, PyObject *const *args, Py_ssize_t nargs)
{
    PyThreadState *state = PyThreadState_Get();
    PyObject *me, *seen, *said, *result;
    int simple = 0, same;

    if ((nargs == 1 || nargs == 2) && is_waiter(args[0]))
        simple = may_switch(state, hub, args[0]);
    if (simple <= 0)
        return simple < 0 ? NULL : call_slow(slow_yield, hub, args, nargs, NULL);
    if (!has_room(state, 2))
        return NULL;
    me = args[0];
    seen = Py_XNewRef(get_field(me, PARKS));
    if (seen == NULL || set_field(me, WAITING, Py_NewRef(str_its_turn)) < 0 || set_field(me, PARKED, Py_NewRef(Py_False)) < 0) {
        Py_XDECREF(seen);
        return NULL;
    }
    same = enqueue_in(hub, me) < 0 ? -1 : is_same(get_field(me, PARKS), seen);
    Py_DECREF(seen);
    if (same < 0 || (same && switch_to(state, hub, take_next(hub, 0, 0)) < 0))
        return NULL;
    renew_budget();
    if (count_resumption(me, Py_IS_TYPE(me, dhaga_type)) < 0 || set_field(me, WAITING, Py_NewRef(Py_None)) < 0 || (said = get_field(me, INTERRUPTS)) == NULL)
        return NULL;
    if (said != Py_None) {
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
            if (parked && set_field(waiter, PARKED, Py_NewRef(Py_False)) < 0)
                parked = -1;
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
    long bits;
    PyObject *number;

    if (event == last)
        return mask;
    if (masks == NULL) {
        PyErr_SetString(PyExc_RuntimeError, "setup_core() comes first");
        return -1;
    }
    number = Py_XNewRef(PyDict_GetItemWithError(masks, event));
    if (number == NULL && !PyErr_Occurred())
        number = PyObject_GetItem(masks, event); /* the first time */
    if (number == NULL)
        return -1;
    bits = PyLong_AsLong(number);
    Py_DECREF(number);
    if (bits == -1 && PyErr_Occurred())
        return -1;
    mask = bits & LONG_MAX;
    Py_XSETREF(last, Py_NewRef(event));
    return mask;
}

/* In one direction it is ready. */
static int
mark_one(PyObject *entry, int flag, int queue, PyObject *runq)
{
    PyObject *waiters;
    int done;

    put(entry, flag, Py_NewRef(Py_True));
    waiters = get_a(&PyList_Type, entry, queue);
    if (waiters == NULL)
        return -1;
    if (PyList_GET_SIZE(waiters) == 0)
        return 0;
    Py_INCREF(waiters);
    done = wake_all(waiters, runq);
    Py_DECREF(waiters);
    return done;
}

/* `Netpoll.mark`: whether `level_fd` is among the events; -1 with an exception. */
static int
mark_ready(PyObject *events, PyObject *entries, PyObject *runq, long level_fd)
{
    int level = 0, done;

    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(events); i++) {
        PyObject *pair = PyList_GET_ITEM(events, i), *entry;
        long mask;

        if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2 || !PyLong_Check(PyTuple_GET_ITEM(pair, 0))) {
            PyErr_SetString(PyExc_TypeError, "an event is a descriptor and a number");
            return -1;
        }
        entry = PyDict_GetItemWithError(entries, PyTuple_GET_ITEM(pair, 0));
        if (entry == NULL) {
            if (PyErr_Occurred())
                return -1;
            if (PyLong_AsLong(PyTuple_GET_ITEM(pair, 0)) == level_fd)
                level = 1;
            if (PyErr_Occurred())
                return -1;
            continue;
        }
        if (!PyObject_TypeCheck(entry, entry_type)) {
            PyErr_SetString(PyExc_TypeError, "what is known of a descriptor is an Entry");
            return -1;
        }
        Py_INCREF(pair);
        Py_INCREF(entry);
        mask = mask_of(PyTuple_GET_ITEM(pair, 1));
        done = mask < 0 ? -1 : 0;
        if (mask > 0 && mask & stays_bits)
            put(entry, STICKY, Py_NewRef(Py_True));
        if (mask > 0 && mask & read_bit)
            done = mark_one(entry, READABLE, READERS, runq);
        if (done == 0 && mask & write_bit)
            done = mark_one(entry, WRITABLE, WRITERS, runq);
        Py_DECREF(pair);
        Py_DECREF(entry);
        if (done < 0)
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

    if (nargs != 5 || !PyList_Check(args[0]) || !PyDict_Check(args[1]) || entry_type == NULL)
        return PyErr_Format(PyExc_TypeError, "mark(events, entries, masks, runq, level_fd)");
    level_fd = PyLong_AsLong(args[4]);
    if (level_fd == -1 && PyErr_Occurred())
        return NULL;
    level = mark_ready(args[0], args[1], args[3], level_fd);
    return level < 0 ? NULL : new_bool(level);
}
