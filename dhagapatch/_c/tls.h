/* TLS: `ssl.Connection.read` and `write` of who is a dhaga. */

static PyTypeObject *connection_type;
static PyObject *slow_tls_read, *slow_tls_write, *tls_do, *tls_time_out, *make_nonblocking, *want_read, *want_write;
static Py_ssize_t connection_native, connection_sock, connection_flows;

static PyObject *str_pending, *str_read, *str_write;

/* A call of the C object that has not come through: the loop of `Connection._do`, from the wait on. */
static COLD PyObject *
tls_go_on(Caller *caller, PyObject *self, PyObject *call, PyObject *const *args, Py_ssize_t nargs, int reads, long direction)
{
    PyObject *packed = pack(args, nargs), *result = NULL;

    if (packed != NULL)
        result = PyObject_CallFunction(tls_do, "OOOOlOO", self, call, packed, reads ? Py_True : Py_False, direction,
                                       caller->started, caller->seen);
    Py_XDECREF(packed);
    return result;
}

static COLD PyObject *
tls_run_out(PyObject *self, PyObject *sock, PyObject *call, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *packed = pack(args, nargs), *result = NULL;

    if (packed != NULL)
        result = PyObject_CallFunctionObjArgs(tls_time_out, self, sock, call, packed, NULL);
    Py_XDECREF(packed);
    return result;
}

static COLD PyObject *
tls_was_closed(void)
{
    errno = EBADF;
    return PyErr_SetFromErrno(PyExc_OSError);
}

/* Notes whether data flows: a read has come through with some of it, since which nothing has ended or failed. */
static void
note_flow(PyObject *self, int flows)
{
    PyObject **slot = (PyObject **)((char *)self + connection_flows);

    Py_XSETREF(*slot, new_bool(flows)); /* booleans: nothing runs */
}

/* Whether nothing is there to be read, by the kernel's word: a try would fail, at ten times the cost of that look; -1 with an
   exception.  HAZARD: of the end there is no byte: it was reported (sticky), or its edge is still to be seen.  And OpenSSL may have
   something to do or to say without input: a handshake, or an authentication after it, to begin with; an end or an error that it
   has read already.  So only while data flows. */
static int
tls_must_wait(Caller *caller, PyObject *self, PyObject *native, int fd)
{
    PyObject *pending;
    int count = 1, some;

    if (caller->entry == NULL || SLOT(caller->entry, STICKY) != Py_False || *(PyObject **)((char *)self + connection_flows) != Py_True)
        return 0;
    pending = PyObject_CallMethodNoArgs(native, str_pending);
    if (pending == NULL)
        return -1;
    some = PyObject_IsTrue(pending);
    Py_DECREF(pending);
    return some ? (some < 0 ? -1 : 0) : ioctl(fd, FIONREAD, &count) == 0 && count == 0;
}

/* 1: the socket, its descriptor and its timeout are known; 0: Python has to do it; -1 with an exception. */
static int
tls_find(Caller *caller, PyObject *self, PyObject **sock, PyObject **timeout, int *fd)
{
    PyObject *number = NULL;
    int found = 0;

    *timeout = NULL;
    if (*(PyObject **)((char *)self + connection_sock) == NULL)
        return 0;
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
    else if (!is_zero(*timeout))
        found = (number = c_fileno(*sock, NULL)) == NULL ? -1 : 1;
    if (found > 0)
        found = (*fd = (int)PyLong_AsLong(number)) < 0 ? (PyErr_Occurred() ? -1 : 0) : look_at(caller, number);
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

/* Calls the C object's bound method; what it raises may be that it has to wait. */
static PyObject *
tls_try(Caller *caller, PyObject *self, PyObject *sock, PyObject *timeout, PyObject *call, PyObject *const *args,
        Py_ssize_t nargs, int reads)
{
    PyObject *set = c_gettimeout(sock, NULL), *result; /* each time: another dhaga may have set the timeout during the wait */
    int flows;
    long direction;

    if (set == Py_None)
        Py_SETREF(set, PyObject_CallOneArg(make_nonblocking, sock));
    if (set == NULL)
        return NULL;
    Py_DECREF(set);
    result = PyObject_Vectorcall(call, args, (size_t)nargs, NULL);
    if (result != NULL) {
        flows = reads ? PyObject_IsTrue(result) : 1;
        if (reads && flows >= 0)
            note_flow(self, flows);
        return result;
    }
    direction = PyErr_ExceptionMatches(want_read) ? read_bit : write_bit;
    if (direction == write_bit) {
        note_flow(self, 0); /* it has something to write, which the next read would go on with; or it has failed */
        if (!PyErr_ExceptionMatches(want_write))
            return NULL;
    }
    PyErr_Clear();
    if (caller->started == NULL)
        caller->started = deadline_of(timeout);
    return caller->started == NULL ? NULL : tls_go_on(caller, self, call, args, nargs, reads, direction);
}

/* `Connection._do` of the C object's method `name`. */
static PyObject *
tls_call(PyObject *self, PyObject *name, PyObject *const *args, Py_ssize_t nargs, int reads, PyObject *slow)
{
    PyObject *native = *(PyObject **)((char *)self + connection_native), *sock, *timeout, *call, *result = NULL;
    Caller caller;
    int fd, found, waits = 0, ready = 1;

    if (pay(CALL_COST, 0) < 0)
        return NULL;
    found = native == NULL ? 0 : tls_find(&caller, self, &sock, &timeout, &fd);
    if (found <= 0)
        return found < 0 ? NULL : call_slow(slow, self, args, nargs, NULL);
    Py_INCREF(native);
    call = PyObject_GetAttr(native, name);
    if (call == NULL)
        waits = -1;
    else if (reads)
        waits = tls_must_wait(&caller, self, native, fd);
    if (waits > 0)
        ready = tls_wait(&caller, timeout);
    if (waits >= 0 && ready == 0)
        result = tls_run_out(self, sock, call, args, nargs);
    else if (waits >= 0 && ready > 0) {
        /* HAZARD: closed while it waited; OpenSSL still has the number, which may be another socket's by now */
        if (waits && descriptor_of(sock) != fd)
            result = PyErr_Occurred() ? NULL : tls_was_closed();
        else
            result = tls_try(&caller, self, sock, timeout, call, args, nargs, reads);
    }
    forget(&caller);
    Py_XDECREF(call);
    Py_DECREF(native);
    Py_DECREF(sock);
    Py_DECREF(timeout);
    return result;
}

/* Connection.read(size, buffer=None): what is wrong, or nothing, is Python's.  The buffer is held during the wait. */
static PyObject *
tls_read(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *result;
    Py_buffer buffer = {NULL};
    Py_ssize_t size = nargs == 1 || nargs == 2 ? (PyLong_CheckExact(args[0]) ? PyLong_AsSsize_t(args[0]) : 0) : 0;
    int plain = size > 0 && size <= LARGEST;

    if (plain && nargs == 2)
        plain = !asks_python(args[1]) && PyObject_GetBuffer(args[1], &buffer, PyBUF_WRITABLE) == 0 && buffer.len > 0;
    PyErr_Clear();
    if (plain)
        result = tls_call(self, str_read, args, nargs, 1, slow_tls_read);
    else
        result = pay(CALL_COST, 0) < 0 ? NULL : call_slow(slow_tls_read, self, args, nargs, NULL);
    PyBuffer_Release(&buffer);
    return result;
}

/* Connection.write(data) */
static PyObject *
tls_write(PyObject *self, PyObject *data)
{
    if (asks_python(data))
        return pay(CALL_COST, 0) < 0 ? NULL : call_slow(slow_tls_write, self, &data, 1, NULL);
    return tls_call(self, str_write, &data, 1, 0, slow_tls_write);
}
