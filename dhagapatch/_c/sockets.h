/* sockets */

/* What a call of a socket needs to know; the caller is a dhaga in its hub. */
typedef struct {
    PyObject *me;
    PyObject *hub;
    PyObject *entry; /* NULL: nothing is known of the descriptor */
} Caller;

static void
forget(Caller *caller)
{
    Py_CLEAR(caller->me);
    Py_CLEAR(caller->hub);
    Py_CLEAR(caller->entry);
}

/* Whether a wait for what is known of the descriptor can be done here. */
static int
may_wait(Caller *caller)
{
    PyObject *entry = caller->entry;

    return entry == NULL
        || (SLOT(entry, REGISTERED) == Py_True && SLOT(entry, LIMITS) == Py_None
            && SLOT(SLOT(caller->hub, NETPOLL), ONE_SHOT) == Py_False);
}

/* 1, and a unit of fuel taken; 0 if Python has to do it; -1 with an exception. */
static int
find_caller(Caller *caller, PyObject *sock)
{
    PyObject *fd, *hub, *fuel;
    long left;

    caller->hub = caller->entry = NULL;
    caller->me = (PyObject *)PyGreenlet_GetCurrent();
    if (caller->me == NULL) {
        PyErr_Clear(); /* the interpreter's last moments */
        return 0;
    }
    if (!is_waiter(caller->me))
        goto no;
    hub = field(caller->me, HUB);
    if (hub == NULL || hub == Py_None || !PyObject_TypeCheck(hub, hub_type))
        goto no;
    left = PyLong_AsLong(SLOT(hub, FUEL)) - 1;
    if (left < 0)
        goto no;
    caller->hub = Py_NewRef(hub);
    fd = PyObject_CallOneArg(real_fileno, sock);
    if (fd == NULL)
        goto failed;
    caller->entry = Py_XNewRef(PyDict_GetItemWithError(SLOT(hub, ENTRIES), fd));
    Py_DECREF(fd);
    if (caller->entry == NULL && PyErr_Occurred())
        goto failed;
    if (!may_wait(caller))
        goto no;
    fuel = PyLong_FromLong(left);
    if (fuel == NULL)
        goto failed;
    put(hub, FUEL, fuel);
    return 1;
no:
    forget(caller);
    return 0;
failed:
    forget(caller);
    return -1;
}

/* The user's timeout: a new reference. */
static PyObject *
timeout_of(PyObject *sock)
{
    if (PyDict_GET_SIZE(hidden)) {
        PyObject *key = PyLong_FromVoidPtr(sock), *item;

        if (key == NULL)
            return NULL;
        item = PyDict_GetItemWithError(hidden, key);
        Py_DECREF(key);
        if (item != NULL)
            return Py_NewRef(PyTuple_GET_ITEM(item, 0));
        if (PyErr_Occurred())
            return NULL;
    }
    return PyObject_CallOneArg(real_gettimeout, sock);
}

static int
take_off(PyObject *queue, PyObject *me)
{
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(queue); i++)
        if (PyList_GET_ITEM(queue, i) == me)
            return PyList_SetSlice(queue, i, i + 1, NULL);
    return 0;
}

static int
is_zero(PyObject *timeout)
{
    return PyFloat_CheckExact(timeout) && PyFloat_AS_DOUBLE(timeout) == 0.0;
}

/* As `attempts.await_drained`, where `entry` is registered and has no limits of the kernel's; a new reference. */
static PyObject *
await_drained(Caller *caller, PyObject *sock, PyObject *timeout, int direction)
{
    PyObject *entry = caller->entry, *deadline = has_room(4) ? deadline_of(timeout) : NULL, *queue, *ready, *seen;
    PyObject *type, *value, *traceback;

    if (deadline == NULL)
        return NULL;
    seen = Py_NewRef(field(caller->me, PARKS));
    queue = Py_NewRef(SLOT(entry, direction == read_bit ? READERS : WRITERS));
    if (PyList_Append(queue, caller->me) == 0) {
        /* by its name: what is counted is counted there */
        PyObject *args[] = {caller->hub, caller->me, deadline, entry, seen};

        ready = PyObject_VectorcallMethod(str_park, args, 5, NULL);
    }
    else {
        ready = NULL;
    }
    if (PyList_GET_SIZE(queue)) {
        PyErr_Fetch(&type, &value, &traceback);
        if (take_off(queue, caller->me) < 0)
            PyErr_WriteUnraisable(queue);
        PyErr_Restore(type, value, traceback);
    }
    Py_DECREF(queue);
    Py_DECREF(seen);
    if (ready == Py_False)
        PyErr_SetString(PyExc_TimeoutError, "timed out");
    if (ready != Py_True) {
        Py_XDECREF(ready);
        Py_DECREF(deadline);
        return NULL;
    }
    Py_DECREF(ready);
    if (direction == write_bit && SLOT(entry, STICKY) == Py_True) {
        ready = PyObject_CallFunctionObjArgs(raise_pending, sock, caller->hub, NULL);
        if (ready == NULL) {
            Py_DECREF(deadline);
            return NULL;
        }
        Py_DECREF(ready);
    }
    return deadline;
}

/* Before the call: waits if the descriptor is known not to be ready.  `started` gets a new reference, or NULL for None.
   0, or -1 with an exception. */
static int
prepare(Caller *caller, PyObject *sock, int direction, PyObject **started)
{
    PyObject *entry = caller->entry, *timeout;

    *started = NULL;
    if (entry == NULL || SLOT(entry, direction == read_bit ? READABLE : WRITABLE) != Py_False)
        return 0;
    timeout = timeout_of(sock);
    if (timeout == NULL)
        return -1;
    if (!is_zero(timeout))
        *started = await_drained(caller, sock, timeout, direction);
    else
        *started = Py_NewRef(Py_None);
    Py_DECREF(timeout);
    return *started == NULL ? -1 : 0;
}

/* After a call has raised: 1 if it would have blocked, and the exception is gone; 0 if it is to be raised. */
static int
would_block(PyObject *sock)
{
    PyObject *type, *value, *traceback, *timeout;
    int zero;

    if (!PyErr_ExceptionMatches(PyExc_BlockingIOError))
        return 0;
    PyErr_Fetch(&type, &value, &traceback);
    timeout = PyObject_CallOneArg(user_timeout, sock);
    if (timeout == NULL) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
        return 0;
    }
    zero = is_zero(timeout);
    Py_DECREF(timeout);
    if (zero) {
        PyErr_Restore(type, value, traceback);
        return 0;
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    return 1;
}

/* `attempts.again` */
static PyObject *
try_again(PyObject *sock, long direction, PyObject *call, PyObject *const *args, Py_ssize_t nargs, PyObject *started)
{
    PyObject *packed = PyTuple_New(nargs), *result;

    if (packed == NULL)
        return NULL;
    for (Py_ssize_t i = 0; i < nargs; i++)
        PyTuple_SET_ITEM(packed, i, Py_NewRef(args[i]));
    result = PyObject_CallFunction(again, "OlOOnO", sock, direction, call, packed, nargs - 1, started == NULL ? Py_None : started);
    Py_DECREF(packed);
    return result;
}

/* One call of a socket: `args` are the C method's, the socket first, the flags last. */
static PyObject *
attempt(Caller *caller, long direction, PyObject *call, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *sock = args[0], *started, *result;

    if (prepare(caller, sock, (int)direction, &started) < 0)
        return NULL;
    result = PyObject_Vectorcall(call, args, (size_t)nargs, NULL);
    if (result == NULL && would_block(sock)) {
        result = try_again(sock, direction, call, args + 1, nargs - 1, started);
        if (result != NULL && direction == read_bit) {
            /* what is known of the descriptor now: there was a wait */
            Py_XSETREF(caller->entry, PyObject_CallOneArg(drained_entry, sock));
            if (caller->entry == NULL)
                Py_CLEAR(result);
            else if (caller->entry == Py_None)
                Py_CLEAR(caller->entry);
        }
    }
    Py_XDECREF(started);
    return result;
}

/* The rule of the short read, see `netpoll`. */
static void
note_read(Caller *caller, Py_ssize_t got, Py_ssize_t wanted)
{
    PyObject *entry = caller->entry;

    if (entry != NULL && 0 < got && got < wanted && SLOT(entry, STREAM) == Py_True && SLOT(entry, STICKY) == Py_False)
        put(entry, READABLE, Py_NewRef(Py_False));
}

static PyObject *
sock_recv(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Caller caller;
    PyObject *data;
    Py_ssize_t size = 0;
    int found = 0;

    if (nargs == 1 && PyLong_CheckExact(args[0])) {
        size = PyLong_AsSsize_t(args[0]);
        if (size > 0)
            found = find_caller(&caller, self);
        else
            PyErr_Clear();
    }
    if (found <= 0)
        return found < 0 ? NULL : call_slow(slow_recv, self, args, nargs, NULL);
    PyObject *call[] = {self, args[0], dontwait};
    data = attempt(&caller, read_bit, real_recv, call, 3);
    if (data != NULL)
        note_read(&caller, PyBytes_GET_SIZE(data), size);
    forget(&caller);
    return data;
}

static PyObject *
sock_recv_into(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    Caller caller;
    PyObject *count, *zero;
    Py_buffer buffer;
    int found = 0;

    if (nargs == 1 && names == NULL)
        found = find_caller(&caller, self);
    if (found <= 0)
        return found < 0 ? NULL : call_slow(slow_recv_into, self, args, nargs, names);
    zero = PyLong_FromLong(0);
    PyObject *call[] = {self, args[0], zero, dontwait};
    count = attempt(&caller, read_bit, real_recv_into, call, 4);
    Py_DECREF(zero);
    if (count != NULL && caller.entry != NULL && SLOT(caller.entry, STREAM) == Py_True && SLOT(caller.entry, STICKY) == Py_False
        && PyObject_IsTrue(count) > 0) {
        if (PyObject_GetBuffer(args[0], &buffer, PyBUF_SIMPLE) < 0) {
            Py_CLEAR(count);
        }
        else {
            note_read(&caller, PyLong_AsSsize_t(count), buffer.len);
            PyBuffer_Release(&buffer);
        }
    }
    forget(&caller);
    return count;
}

static PyObject *
sock_send(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Caller caller;
    PyObject *count;
    int found = 0;

    if (nargs == 1)
        found = find_caller(&caller, self);
    if (found <= 0)
        return found < 0 ? NULL : call_slow(slow_send, self, args, nargs, NULL);
    PyObject *call[] = {self, args[0], dontwait};
    count = attempt(&caller, write_bit, real_send, call, 3);
    forget(&caller);
    return count;
}

static PyObject *
sock_sendall(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *count, *result;
    Py_ssize_t done = 0;

    if (nargs != 1 || !PyBytes_CheckExact(args[0]))
        return call_slow(slow_sendall, self, args, nargs, NULL);
    PyObject *call[] = {self, args[0], dontwait};
    count = PyObject_Vectorcall(real_send, call, 3, NULL);
    if (count != NULL) {
        done = PyLong_AsSsize_t(count);
        Py_DECREF(count);
        if (done == PyBytes_GET_SIZE(args[0]))
            Py_RETURN_NONE;
    }
    else if (PyErr_ExceptionMatches(PyExc_BlockingIOError)) {
        PyErr_Clear();
    }
    else {
        return NULL;
    }
    result = PyObject_CallFunction(send_rest, "OOOn", self, args[0], dontwait, done);
    return result;
}

/* is_empty(fd) -> bool: whether the kernel has nothing to be read of the descriptor; False if it can't tell. */
static PyObject *
is_empty(PyObject *module, PyObject *fd)
{
    int count = 1, number = (int)PyLong_AsLong(fd);

    if (number == -1 && PyErr_Occurred())
        return NULL;
    return new_bool(ioctl(number, FIONREAD, &count) == 0 && count == 0);
}
