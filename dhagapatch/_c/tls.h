/* TLS: `ssl.Connection.read` and `write` of who is a dhaga. */

static PyTypeObject *connection_type;
static PyObject *slow_tls_read, *slow_tls_write, *tls_do, *tls_time_out, *make_nonblocking, *want_read, *want_write;
static Py_ssize_t connection_native, connection_sock;

static PyObject *str_pending, *str_read, *str_write;

/* A call of the C object that has not come through, or never will: the loop of `Connection._do`, from the wait on. */
static COLD PyObject *
tls_go_on(PyObject *self, PyObject *name, PyObject *const *args, Py_ssize_t nargs, long direction, PyObject *deadline)
{
    PyObject *native = *(PyObject **)((char *)self + connection_native);
    PyObject *call = PyObject_GetAttr(native, name), *packed = call == NULL ? NULL : pack(args, nargs), *result = NULL;

    if (packed != NULL && deadline == NULL)
        result = PyObject_CallFunction(tls_do, "OOOOl", self, call, packed, Py_False, direction);
    else if (packed != NULL)
        result = PyObject_CallFunction(tls_do, "OOOOlO", self, call, packed, Py_False, direction, deadline);
    Py_XDECREF(packed);
    Py_XDECREF(call);
    return result;
}

static COLD PyObject *
tls_run_out(PyObject *self, PyObject *sock, PyObject *name, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *native = *(PyObject **)((char *)self + connection_native);
    PyObject *call = PyObject_GetAttr(native, name), *packed = call == NULL ? NULL : pack(args, nargs), *result = NULL;

    if (packed != NULL)
        result = PyObject_CallFunctionObjArgs(tls_time_out, sock, call, packed, NULL);
    Py_XDECREF(packed);
    Py_XDECREF(call);
    return result;
}

static COLD PyObject *
tls_was_closed(void)
{
    errno = EBADF;
    return PyErr_SetFromErrno(PyExc_OSError);
}

static COLD PyObject *
tls_call_native(PyObject *native, PyObject *name, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *all[3] = {native};

    memcpy(all + 1, args, (size_t)nargs * sizeof(*args));
    return PyObject_VectorcallMethod(name, all, (size_t)nargs + 1, NULL);
}

/* As `_must_wait`, of a descriptor whose entry is registered; -1 with an exception. */
static int
tls_must_wait(Caller *caller, PyObject *native, int fd)
{
    PyObject *pending;
    int count = 1, some;

    if (caller->entry == NULL || SLOT(caller->entry, STICKY) != Py_False)
        return 0;
    pending = PyObject_CallMethodNoArgs(native, str_pending);
    if (pending == NULL)
        return -1;
    some = PyObject_IsTrue(pending);
    Py_DECREF(pending);
    return some ? (some < 0 ? -1 : 0) : ioctl(fd, FIONREAD, &count) == 0 && count == 0;
}

/* 1: `fuel` is taken, and the socket, its descriptor and its timeout are known; 0: Python has to do it; -1 with an exception. */
static int
tls_find(Caller *caller, PyObject *self, PyObject **sock, PyObject **timeout, int *fd)
{
    PyObject *number = NULL, *fuel;
    long left = 0;
    int found = 0;

    *timeout = NULL;
    *sock = PyObject_CallNoArgs(*(PyObject **)((char *)self + connection_sock));
    if (*sock == NULL)
        return -1;
    if (!PyObject_TypeCheck(*sock, socket_type) || !look_up(caller)) {
        Py_CLEAR(*sock);
        return 0;
    }
    *timeout = timeout_of(*sock);
    if (*timeout == NULL)
        found = -1;
    else if (!is_zero(*timeout) && (left = PyLong_AsLong(SLOT(caller->hub, FUEL)) - 1) >= 0)
        found = (number = c_fileno(*sock, NULL)) == NULL ? -1 : 1;
    if (found > 0)
        found = (*fd = (int)PyLong_AsLong(number)) < 0 ? 0 : look_at(caller, number);
    if (found > 0) {
        fuel = PyLong_FromLong(left);
        if (fuel == NULL)
            found = -1;
        else
            put(caller->hub, FUEL, fuel);
    }
    Py_XDECREF(number);
    if (found <= 0) {
        forget(caller);
        Py_CLEAR(*sock);
        Py_CLEAR(*timeout);
    }
    return found;
}

/* Waits for something to be read: as `await_drained`; 1, 0 (out of time), -1 with an exception. */
static int
tls_wait(Caller *caller, PyObject *timeout)
{
    caller->started = deadline_of(timeout);
    if (caller->started == NULL)
        return -1;
    put(caller->entry, READABLE, Py_NewRef(Py_False));
    return await_entry(caller, caller->started, (int)read_bit);
}

/* `Connection._do` of the C object's method `name`. */
static PyObject *
tls_call(PyObject *self, PyObject *name, PyObject *const *args, Py_ssize_t nargs, int reads, PyObject *slow)
{
    PyObject *native = *(PyObject **)((char *)self + connection_native), *sock, *timeout, *result = NULL, *set;
    Caller caller;
    int fd, found = tls_find(&caller, self, &sock, &timeout, &fd), waits = 0, ready = 1;

    if (found <= 0)
        return found < 0 ? NULL : call_slow(slow, self, args, nargs, NULL);
    if (reads)
        waits = tls_must_wait(&caller, native, fd);
    if (waits > 0)
        ready = tls_wait(&caller, timeout);
    if (waits < 0 || ready < 0)
        goto done;
    if (!ready) {
        result = tls_run_out(self, sock, name, args, nargs);
        goto done;
    }
    /* HAZARD: closed while it waited; OpenSSL still has the number, which may be another socket's by now */
    if (waits && descriptor_of(sock) != fd) {
        result = PyErr_Occurred() ? NULL : tls_was_closed();
        goto done;
    }
    set = c_gettimeout(sock, NULL); /* looked at each time: another dhaga may have set the timeout during the wait */
    if (set == Py_None)
        Py_SETREF(set, PyObject_CallOneArg(make_nonblocking, sock));
    if (set == NULL)
        goto done;
    Py_DECREF(set);
    result = tls_call_native(native, name, args, nargs);
    if (result == NULL && (PyErr_ExceptionMatches(want_read) || PyErr_ExceptionMatches(want_write))) {
        long direction = PyErr_ExceptionMatches(want_read) ? read_bit : write_bit;

        PyErr_Clear();
        result = tls_go_on(self, name, args, nargs, direction, caller.started);
    }
done:
    forget(&caller);
    Py_DECREF(sock);
    Py_DECREF(timeout);
    return result;
}

/* Connection.read(size, buffer=None): what is wrong, or nothing, or goes into what may be neither, is Python's. */
static PyObject *
tls_read(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    int plain = (nargs == 1 || nargs == 2) && PyLong_CheckExact(args[0]);

    if (plain && PyLong_AsSsize_t(args[0]) <= 0) {
        PyErr_Clear();
        plain = 0;
    }
    if (plain && nargs == 2)
        plain = (PyByteArray_CheckExact(args[1]) && PyByteArray_GET_SIZE(args[1]) > 0)
             || (PyMemoryView_Check(args[1]) && PyObject_Size(args[1]) > 0);
    PyErr_Clear(); /* a memory view that has been released */
    return plain ? tls_call(self, str_read, args, nargs, 1, slow_tls_read) : call_slow(slow_tls_read, self, args, nargs, NULL);
}

/* Connection.write(data) */
static PyObject *
tls_write(PyObject *self, PyObject *data)
{
    return tls_call(self, str_write, &data, 1, 0, slow_tls_write);
}
