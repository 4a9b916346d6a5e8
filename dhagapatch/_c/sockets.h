/* sockets */

/* What a call of a socket needs to know; the caller is a dhaga in its hub. */
typedef struct {
    PyObject *me;
    PyObject *hub;
    PyObject *entry; /* NULL: nothing is known of the descriptor */
    PyObject *seen; /* how often it had been resumed before the try, see `wait_socket` */
    PyObject *started; /* the deadline of a wait before the call; NULL: there was none */
} Caller;

static PyCFunction c_fileno, c_gettimeout;
static PyObject *slow_wait_socket;

static PyObject *
call_fileno(PyObject *sock, PyObject *ignored)
{
    return PyObject_CallOneArg(real_fileno, sock);
}

static PyObject *
call_gettimeout(PyObject *sock, PyObject *ignored)
{
    return PyObject_CallOneArg(real_gettimeout, sock);
}

/* -1 if it is closed, or with an exception. */
static int
descriptor_of(PyObject *sock)
{
    PyObject *number = c_fileno(sock, NULL);
    int fd = number == NULL ? -1 : (int)PyLong_AsLong(number);

    Py_XDECREF(number);
    return fd;
}

static void
forget(Caller *caller)
{
    Py_CLEAR(caller->me);
    Py_CLEAR(caller->hub);
    Py_CLEAR(caller->entry);
    Py_CLEAR(caller->seen);
    Py_CLEAR(caller->started);
}

/* Whether a wait for what is known of the descriptor can be done here. */
static int
may_wait(Caller *caller)
{
    PyObject *entry = caller->entry;

    PyObject *netpoll;

    if (entry == NULL)
        return 1;
    netpoll = SLOT(caller->hub, NETPOLL);
    return SLOT(entry, REGISTERED) == Py_True && SLOT(entry, LIMITS) == Py_None && netpoll != NULL
        && PyObject_TypeCheck(netpoll, netpoll_type) && SLOT(netpoll, ONE_SHOT) == Py_False;
}

/* The caller and its hub: 1; 0, with nothing to forget, if Python has to do it. */
static int
look_up(Caller *caller)
{
    PyObject *hub, *seen;

    caller->hub = caller->entry = caller->seen = caller->started = NULL;
    caller->me = (PyObject *)PyGreenlet_GetCurrent();
    if (caller->me == NULL) {
        PyErr_Clear(); /* the interpreter's last moments */
        return 0;
    }
    hub = is_waiter(caller->me) ? field(caller->me, HUB) : NULL;
    if (hub == NULL || hub == Py_None || !PyObject_TypeCheck(hub, hub_type) || (seen = field(caller->me, PARKS)) == NULL) {
        Py_CLEAR(caller->me);
        return 0;
    }
    caller->hub = Py_NewRef(hub);
    caller->seen = Py_NewRef(seen);
    return 1;
}

/* What is known of the descriptor, and whether a wait for it can be done here; -1 with an exception. */
static int
look_at(Caller *caller, PyObject *fd)
{
    PyObject *entries = get_a(&PyDict_Type, caller->hub, ENTRIES), *entry;

    entry = entries == NULL ? NULL : PyDict_GetItemWithError(entries, fd);
    if (entry == NULL)
        return PyErr_Occurred() ? -1 : 1;
    if (!Py_IS_TYPE(entry, entry_type)) {
        PyErr_SetString(PyExc_TypeError, "what is known of a descriptor is an Entry");
        return -1;
    }
    caller->entry = Py_NewRef(entry);
    return may_wait(caller);
}

/* 1: a wait, if there is to be one, can be done here; 0 if Python has to do it; -1 with an exception. */
static int
find_caller(Caller *caller, PyObject *sock)
{
    PyObject *fd;
    int found;

    if (!look_up(caller))
        return 0;
    fd = c_fileno(sock, NULL);
    found = fd == NULL ? -1 : look_at(caller, fd);
    Py_XDECREF(fd);
    if (found <= 0)
        forget(caller);
    return found;
}

/* Hidden timeouts that were asked for lately, by the socket, which is compared only.  Python tells of each change. */
static struct {
    PyObject *sock, *timeout;
} known[256];

static PyObject *
timeouts_changed(PyObject *module, PyObject *ignored)
{
    for (Py_ssize_t i = 0; i < LEN(known); i++) {
        known[i].sock = NULL;
        Py_CLEAR(known[i].timeout); /* None or a number: nothing runs */
    }
    Py_RETURN_NONE;
}

/* The user's timeout: a new reference. */
static PyObject *
timeout_of(PyObject *sock)
{
    size_t place = ((size_t)sock >> 4) * 0x9E3779B97F4A7C15u >> 56;
    PyObject *key, *item;

    if (known[place].sock == sock)
        return Py_NewRef(known[place].timeout);
    if (PyDict_GET_SIZE(hidden) == 0)
        return c_gettimeout(sock, NULL);
    key = PyLong_FromVoidPtr(sock);
    if (key == NULL)
        return NULL;
    item = PyDict_GetItemWithError(hidden, key);
    Py_DECREF(key);
    if (item == NULL)
        return PyErr_Occurred() ? NULL : c_gettimeout(sock, NULL);
    if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) == 0)
        return PyErr_Format(PyExc_TypeError, "a timeout stands in a tuple");
    known[place].sock = sock;
    Py_XSETREF(known[place].timeout, Py_NewRef(PyTuple_GET_ITEM(item, 0)));
    return Py_NewRef(known[place].timeout);
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

/* Leaves the queue with an exception, or since somebody else woke it. */
static COLD void
leave_queue(PyObject *queue, PyObject *me)
{
    PyObject *type, *value, *traceback;

    PyErr_Fetch(&type, &value, &traceback);
    if (take_off(queue, me) < 0)
        PyErr_WriteUnraisable(queue);
    PyErr_Restore(type, value, traceback);
}

/* As `wait_entry`, where the entry is registered: 1; 0, out of time; -1 with an exception.  It has been seen not to be ready since
   `seen` was. */
FLAT int
await_entry(Caller *caller, PyObject *deadline, int direction)
{
    PyThreadState *state = PyThreadState_Get();
    PyObject *queue, *seen;
    int ready;

    if (!has_room(state, 4))
        return -1;
    queue = Py_XNewRef(get_a(&PyList_Type, caller->entry, direction == read_bit ? READERS : WRITERS));
    if (queue == NULL)
        return -1;
    ready = PyList_Append(queue, caller->me);
    if (ready == 0)
        ready = park(state, caller->hub, caller->me, deadline, caller->entry, caller->seen);
    if (PyList_GET_SIZE(queue))
        leave_queue(queue, caller->me);
    Py_DECREF(queue);
    if (ready >= 0) {
        seen = get_field(caller->me, PARKS);
        if (seen == NULL)
            return -1;
        Py_SETREF(caller->seen, Py_NewRef(seen));
    }
    return ready;
}

/* As `attempts.await_drained`, where the entry is registered and has no limits of the kernel's; sets `started`. */
static int
await_drained(Caller *caller, PyObject *sock, PyObject *timeout, int direction)
{
    int ready;

    caller->started = deadline_of(timeout);
    if (caller->started == NULL)
        return -1;
    ready = await_entry(caller, caller->started, direction);
    if (ready == 0)
        PyErr_SetString(PyExc_TimeoutError, "timed out");
    if (ready <= 0)
        return -1;
    if (direction == write_bit && SLOT(caller->entry, STICKY) == Py_True) {
        PyObject *done = PyObject_CallFunctionObjArgs(raise_pending, sock, caller->hub, NULL);

        Py_XDECREF(done);
        return done == NULL ? -1 : 0;
    }
    return 0;
}

/* Before the call: waits if the descriptor is known not to be ready.  0, or -1 with an exception. */
static int
prepare(Caller *caller, PyObject *sock, int direction)
{
    PyObject *timeout;
    int done = 0;

    if (caller->entry == NULL || SLOT(caller->entry, direction == read_bit ? READABLE : WRITABLE) != Py_False)
        return 0;
    timeout = timeout_of(sock);
    if (timeout == NULL)
        return -1;
    if (!is_zero(timeout))
        done = await_drained(caller, sock, timeout, direction);
    Py_DECREF(timeout);
    return done;
}

/* A call whose size has no place here, by the C method: as those below. */
static COLD PyObject *
call_method_of(PyObject *call, PyObject *sock, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *result = call_slow(call, sock, args, nargs, NULL);

    if (result == NULL && PyErr_ExceptionMatches(PyExc_BlockingIOError))
        PyErr_Clear();
    return result;
}

/* A call, with `args` after the socket and the flags last of them, would have blocked: raises if the user wants that, or waits
   and calls until it does not. */
static COLD PyObject *
go_on(Caller *caller, PyObject *sock, long direction, PyObject *call, PyObject *const *args, Py_ssize_t nargs, Py_ssize_t wanted)
{
    PyObject *timeout = timeout_of(sock), *packed, *result;
    int zero = timeout != NULL && is_zero(timeout);

    Py_XDECREF(timeout);
    if (timeout == NULL)
        return NULL;
    if (zero) {
        errno = EAGAIN;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    packed = pack(args, nargs);
    if (packed == NULL)
        return NULL;
    result = PyObject_CallFunction(again, "OlOOOnOn", sock, direction, call, packed, caller->seen, nargs - 1,
                                   caller->started == NULL ? Py_None : caller->started, wanted);
    Py_DECREF(packed);
    return result;
}

/* The system calls.  The interpreter is not let go of meanwhile: asked not to wait, the kernel only copies, and no more than
   LARGE bytes.  They say -1 with an exception, or without one: it would have blocked. */

enum { LARGEST = 1 << 24, LARGE = 65536, SMALL = 16384 }; /* more than LARGEST there may be no memory for: Python tries first */

static int
is_interrupted(ssize_t count)
{
    return count < 0 && errno == EINTR && PyErr_CheckSignals() == 0;
}

static ssize_t
said(ssize_t count)
{
    if (count < 0 && !PyErr_Occurred() && errno != EAGAIN && errno != EWOULDBLOCK)
        PyErr_SetFromErrno(PyExc_OSError);
    return count;
}

static ssize_t
receive(PyObject *sock, char *buffer, Py_ssize_t size)
{
    ssize_t got;

    do {
        int fd = descriptor_of(sock);
        if (fd == -1 && PyErr_Occurred())
            return -1;
        got = recv(fd, buffer, (size_t)size, MSG_DONTWAIT);
    } while (is_interrupted(got));
    return said(got);
}

static ssize_t
transmit(PyObject *sock, const char *buffer, Py_ssize_t size)
{
    ssize_t sent;

    do {
        int fd = descriptor_of(sock);
        if (fd == -1 && PyErr_Occurred())
            return -1;
        sent = send(fd, buffer, (size_t)size, MSG_DONTWAIT);
    } while (is_interrupted(sent));
    return said(sent);
}

/* New bytes.  Little is copied out of what the kernel writes into each time; much is given away in it. */
static PyObject *
receive_bytes(PyObject *sock, Py_ssize_t size)
{
    static PyObject *kept;
    PyObject *room = kept == NULL ? PyBytes_FromStringAndSize(NULL, LARGE) : kept, *data = NULL;
    ssize_t got;

    kept = NULL; /* HAZARD: a signal handler, called in between, may receive as well */
    if (room == NULL)
        return NULL;
    got = receive(sock, PyBytes_AS_STRING(room), size);
    if (got > SMALL) {
        if (got < LARGE)
            _PyBytes_Resize(&room, got);
        return room;
    }
    if (got >= 0)
        data = PyBytes_FromStringAndSize(PyBytes_AS_STRING(room), got);
    Py_XSETREF(kept, room);
    return data;
}

/* The rule of the short read, see `netpoll`. */
static void
note_read(Caller *caller, Py_ssize_t got, Py_ssize_t wanted)
{
    PyObject *entry = caller->entry;

    if (entry != NULL && 0 < got && got < wanted && SLOT(entry, STREAM) == Py_True && SLOT(entry, STICKY) == Py_False)
        put(entry, READABLE, Py_NewRef(Py_False));
}

static COLD PyObject *
go_on_receiving(Caller *caller, PyObject *sock, PyObject *size)
{
    PyObject *args[] = {size, dontwait};

    return go_on(caller, sock, read_bit, real_recv, args, 2, PyLong_AsSsize_t(size));
}

static COLD PyObject *
receive_much(PyObject *sock, PyObject *size)
{
    PyObject *args[] = {size, dontwait};

    return call_method_of(real_recv, sock, args, 2);
}

static PyObject *
sock_recv(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Caller caller;
    PyObject *data = NULL;
    Py_ssize_t size = 0;
    int found = 0;

    if (pay(CALL_COST, 0) < 0)
        return NULL;
    if (nargs == 1 && PyLong_CheckExact(args[0])) {
        size = PyLong_AsSsize_t(args[0]);
        if (size > 0 && size <= LARGEST)
            found = find_caller(&caller, self);
        else
            PyErr_Clear();
    }
    if (found <= 0)
        return found < 0 ? NULL : call_slow(slow_recv, self, args, nargs, NULL);
    if (prepare(&caller, self, read_bit) == 0) {
        data = size <= LARGE ? receive_bytes(self, size) : receive_much(self, args[0]);
        if (data != NULL)
            note_read(&caller, PyBytes_GET_SIZE(data), size);
        else if (!PyErr_Occurred())
            data = go_on_receiving(&caller, self, args[0]);
    }
    forget(&caller);
    return data;
}

static COLD PyObject *
go_on_filling(Caller *caller, PyObject *sock, PyObject *buffer, Py_ssize_t size)
{
    PyObject *args[] = {buffer, PyLong_FromLong(0), dontwait}; /* a small one is there always */
    PyObject *count = go_on(caller, sock, read_bit, real_recv_into, args, 3, size);

    Py_DECREF(args[1]);
    return count;
}

static COLD PyObject *
fill_much(PyObject *sock, PyObject *buffer)
{
    PyObject *args[] = {buffer, PyLong_FromLong(0), dontwait};
    PyObject *count = call_method_of(real_recv_into, sock, args, 3);

    Py_DECREF(args[1]);
    return count;
}

static PyObject *
fill(PyObject *sock, Py_buffer *buffer, PyObject *object)
{
    ssize_t got;

    if (buffer->len > LARGE)
        return fill_much(sock, object);
    got = receive(sock, buffer->buf, buffer->len);
    return got < 0 ? NULL : PyLong_FromSsize_t(got);
}

/* Whether its `__buffer__` is written in Python, which is to be asked once only: left to Python. */
static int
asks_python(PyObject *object)
{
#if PY_VERSION_HEX >= 0x030C0000
    if (!PyBytes_CheckExact(object) && !PyByteArray_CheckExact(object) && !PyMemoryView_Check(object)
        && PyType_HasFeature(Py_TYPE(object), Py_TPFLAGS_HEAPTYPE)) {
        PyObject *method = PyObject_GetAttr((PyObject *)Py_TYPE(object), str_buffer);
        int in_python = method != NULL && !Py_IS_TYPE(method, &PyWrapperDescr_Type);

        Py_XDECREF(method);
        PyErr_Clear();
        return in_python;
    }
#endif
    return 0;
}

/* Its buffer is held during the wait: nobody can change its size. */
static PyObject *
sock_recv_into(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)
{
    Caller caller;
    PyObject *count = NULL;
    Py_buffer buffer = {NULL};
    int found = 0;

    if (pay(CALL_COST, 0) < 0)
        return NULL;
    if (nargs == 1 && names == NULL && !asks_python(args[0]) && PyObject_GetBuffer(args[0], &buffer, PyBUF_WRITABLE) < 0)
        PyErr_Clear();
    if (buffer.obj != NULL && buffer.len > 0)
        found = find_caller(&caller, self);
    if (found <= 0) {
        PyBuffer_Release(&buffer);
        return found < 0 ? NULL : call_slow(slow_recv_into, self, args, nargs, names);
    }
    if (prepare(&caller, self, read_bit) == 0) {
        count = fill(self, &buffer, args[0]);
        if (count != NULL)
            note_read(&caller, PyLong_AsSsize_t(count), buffer.len);
        else if (!PyErr_Occurred())
            count = go_on_filling(&caller, self, args[0], buffer.len);
    }
    PyBuffer_Release(&buffer);
    forget(&caller);
    return count;
}

static COLD PyObject *
go_on_sending(Caller *caller, PyObject *sock, PyObject *data)
{
    PyObject *args[] = {data, dontwait};

    return go_on(caller, sock, write_bit, real_send, args, 2, 0);
}

static COLD PyObject *
send_much(PyObject *sock, PyObject *data)
{
    PyObject *args[] = {data, dontwait};

    return call_method_of(real_send, sock, args, 2);
}

static PyObject *
send_some(PyObject *sock, Py_buffer *buffer, PyObject *data)
{
    ssize_t sent;

    if (buffer->len > LARGE)
        return send_much(sock, data);
    sent = transmit(sock, buffer->buf, buffer->len);
    return sent < 0 ? NULL : PyLong_FromSsize_t(sent);
}

static PyObject *
sock_send(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Caller caller;
    PyObject *count = NULL;
    Py_buffer buffer = {NULL};
    int found = 0;

    if (pay(CALL_COST, 0) < 0)
        return NULL;
    if (nargs == 1 && !asks_python(args[0]) && PyObject_GetBuffer(args[0], &buffer, PyBUF_SIMPLE) < 0)
        PyErr_Clear();
    if (buffer.obj != NULL && buffer.len > 0)
        found = find_caller(&caller, self);
    if (found <= 0) {
        PyBuffer_Release(&buffer);
        return found < 0 ? NULL : call_slow(slow_send, self, args, nargs, NULL);
    }
    if (prepare(&caller, self, write_bit) == 0) {
        count = send_some(self, &buffer, args[0]);
        if (count == NULL && !PyErr_Occurred())
            count = go_on_sending(&caller, self, args[0]);
    }
    PyBuffer_Release(&buffer);
    forget(&caller);
    return count;
}

static PyObject *
sock_sendall(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t done;

    if (pay(CALL_COST, 0) < 0)
        return NULL;
    if (nargs != 1 || !PyBytes_CheckExact(args[0]))
        return call_slow(slow_sendall, self, args, nargs, NULL);
    if (PyBytes_GET_SIZE(args[0]) <= LARGE) {
        done = transmit(self, PyBytes_AS_STRING(args[0]), PyBytes_GET_SIZE(args[0]));
    }
    else {
        PyObject *count = send_much(self, args[0]);
        done = count == NULL ? -1 : PyLong_AsSsize_t(count);
        Py_XDECREF(count);
    }
    if (done == PyBytes_GET_SIZE(args[0]))
        Py_RETURN_NONE;
    if (done < 0 && PyErr_Occurred())
        return NULL;
    return PyObject_CallFunction(send_rest, "OOOn", self, args[0], dontwait, done < 0 ? 0 : done);
}

/* wait_socket(sock, fd, direction, deadline, seen, stream=False) */
static PyObject *
wait_socket(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    Caller caller;
    long direction;
    int simple, same, ready;

    if (slow_wait_socket == NULL || hub_type == NULL)
        return PyErr_Format(PyExc_RuntimeError, "setup_core() and setup_waiting() come first");
    if ((nargs != 5 && nargs != 6) || !look_up(&caller))
        return PyObject_Vectorcall(slow_wait_socket, args, (size_t)nargs, NULL);
    simple = look_at(&caller, args[1]);
    if (simple <= 0 || caller.entry == NULL) {
        forget(&caller);
        return simple < 0 ? NULL : PyObject_Vectorcall(slow_wait_socket, args, (size_t)nargs, NULL);
    }
    direction = PyLong_AsLong(args[2]);
    if (direction == -1 && PyErr_Occurred()) {
        forget(&caller);
        return NULL;
    }
    put(caller.entry, direction == read_bit ? READABLE : WRITABLE, Py_NewRef(Py_False));
    Py_SETREF(caller.seen, Py_NewRef(args[4]));
    same = is_same(get_field(caller.me, PARKS), caller.seen);
    if (same > 0) {
        ready = await_entry(&caller, args[3], (int)direction);
    }
    else {
        put(caller.entry, direction == read_bit ? READABLE : WRITABLE, Py_NewRef(Py_True)); /* an edge may have come */
        ready = same < 0 ? -1 : 1;
    }
    forget(&caller);
    return ready < 0 ? NULL : new_bool(ready);
}

static PyObject *
setup_waiting(PyObject *module, PyObject *slow)
{
    if (!PyCallable_Check(slow))
        return PyErr_Format(PyExc_TypeError, "setup_waiting() takes a function");
    Py_XSETREF(slow_wait_socket, Py_NewRef(slow));
    Py_RETURN_NONE;
}
