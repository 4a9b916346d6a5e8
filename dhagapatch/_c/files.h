/* Turns of buffered files: most often nobody else is in one.

   The methods of the interpreter's own classes take them where they stand: the structure from which a method was made is told
   another function.  So every object follows, and whoever keeps a method, bound or not; and it is called as fast as before. */

static PyObject *inside, *await_turn, *end_turn; /* who is in, by identity; what is written in Python */
static PyTypeObject *buffered_type, *file_type, *bytes_type; /* and the raw files that never park */
static Py_ssize_t buffered_raw;
static PyInterpreterState *turns_interpreter;

static inline PyObject *
raw_of(PyObject *buffer)
{
    return *(PyObject **)((char *)buffer + buffered_raw);
}

/* Most turns are over at once: they are kept here, by a part of the address, and in the dictionary only if there is no seat, or
   somebody comes meanwhile.  Without references: a greenlet that nobody else has is to be unwound. */
typedef struct {
    PyObject *buffer;
    void *owner;
} Seat;

static Seat seats[256];

static inline Seat *
seat_of(PyObject *buffer)
{
    return &seats[((size_t)buffer >> 5) % LEN(seats)];
}

/* Puts a turn into the dictionary; whether it was not there, or -1. */
static int
note_turn(PyObject *buffer, void *owner)
{
    PyObject *key = PyLong_FromVoidPtr(buffer), *who = PyLong_FromVoidPtr(owner), *there = NULL;
    Py_ssize_t size = PyDict_GET_SIZE(inside);

    if (key != NULL && who != NULL)
        there = PyDict_SetDefault(inside, key, who);
    Py_XDECREF(key);
    Py_XDECREF(who);
    return there == NULL ? -1 : PyDict_GET_SIZE(inside) > size;
}

static COLD int
begin_turn_slowly(PyObject *buffer, void *me)
{
    Seat *seat = seat_of(buffer);
    PyObject *waited;
    int mine;

    do {
        if (seat->buffer == buffer) {
            if (note_turn(buffer, seat->owner) < 0)
                return -1;
            seat->buffer = NULL;
        }
        mine = note_turn(buffer, me);
        if (mine != 0)
            return mine;
        waited = PyObject_CallOneArg(await_turn, buffer); /* somebody is in */
        Py_XDECREF(waited);
    } while (waited == Py_None);
    return waited == NULL ? -1 : waited == Py_True;
}

/* 1: it is the caller's turn, to be ended; 0: it needs none, as the native method has the words; -1: an exception. */
static int
begin_turn(PyObject *buffer)
{
    Seat *seat = seat_of(buffer);
    PyGreenlet *me;

    if (raw_of(buffer) == NULL || Py_IS_TYPE(raw_of(buffer), bytes_type)) /* it was detached, or not set up; or never parks */
        return 0;
    if (PyThreadState_Get()->interp != turns_interpreter)
        return 0; /* HAZARD: the structures of methods are those of all interpreters */
    if (!has_room(PyThreadState_Get(), 8)) /* for the calls that let the next one in, which must not fail then */
        return -1;
    me = PyGreenlet_GetCurrent(); /* HAZARD: first, as it may run anything, the first time in a thread */
    if (me == NULL) {
        PyErr_Clear(); /* the interpreter's last moments */
        return 0;
    }
    Py_DECREF(me); /* it runs, so it stays */
    if (seat->buffer != NULL || PyDict_GET_SIZE(inside) > 0)
        return begin_turn_slowly(buffer, me);
    seat->buffer = buffer;
    seat->owner = me;
    return 1;
}

static COLD int
end_turn_slowly(PyObject *buffer)
{
    PyObject *key = PyLong_FromVoidPtr(buffer), *there = key == NULL ? NULL : PyDict_GetItemWithError(inside, key), *done = NULL;

    if (there != NULL && PyLong_CheckExact(there)) {
        if (PyDict_DelItem(inside, key) == 0)
            done = Py_NewRef(Py_None);
    }
    else if (key != NULL && !PyErr_Occurred())
        done = PyObject_CallOneArg(end_turn, buffer);
    Py_XDECREF(key);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Lets the next one in; an exception that is raised stays so. */
static PyObject *
leave_turn(PyObject *buffer, PyObject *result)
{
    Seat *seat = seat_of(buffer);
    PyObject *type, *value, *traceback;

    if (seat->buffer == buffer) {
        seat->buffer = NULL;
        return result;
    }
    PyErr_Fetch(&type, &value, &traceback);
    if (end_turn_slowly(buffer) == 0) {
        PyErr_Restore(type, value, traceback);
        return result;
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    Py_XDECREF(result);
    return NULL;
}

#define LIST(...) __VA_ARGS__

/* A method, `turn_name(self, arguments)`; most raw files are such as never park. */
#define TURN_OF(kind, name, parameters, arguments)                                                                             \
    static kind native_##name;                                                                                                 \
    static __attribute__((noinline)) PyObject *slow_turn_##name(PyObject *self, parameters)                                    \
    {                                                                                                                          \
        int mine = begin_turn(self);                                                                                           \
        if (mine < 0)                                                                                                          \
            return NULL;                                                                                                       \
        return mine ? leave_turn(self, native_##name(self, arguments)) : native_##name(self, arguments);                       \
    }                                                                                                                          \
    static PyObject *turn_##name(PyObject *self, parameters)                                                                   \
    {                                                                                                                          \
        PyObject *raw = raw_of(self);                                                                                          \
        return raw != NULL && Py_IS_TYPE(raw, file_type) ? native_##name(self, arguments) : slow_turn_##name(self, arguments); \
    }

typedef PyObject *(*fastcall)(PyObject *, PyObject *const *, Py_ssize_t);

#define FASTCALL_TURN(name) TURN_OF(fastcall, name, LIST(PyObject *const *args, Py_ssize_t nargs), LIST(args, nargs))
#define SIMPLE_TURN(name) TURN_OF(PyCFunction, name, PyObject *argument, argument) /* no argument, or one */

FASTCALL_TURN(read)
FASTCALL_TURN(read1)
FASTCALL_TURN(readline)
FASTCALL_TURN(peek)
FASTCALL_TURN(seek)
FASTCALL_TURN(truncate)
SIMPLE_TURN(readinto)
SIMPLE_TURN(readinto1)
SIMPLE_TURN(write)
SIMPLE_TURN(flush)
SIMPLE_TURN(close)

TURN_OF(PyCMethod, truncate_of_class, LIST(PyTypeObject *kind, PyObject *const *args, size_t nargs, PyObject *names),
        LIST(kind, args, nargs, names))

static iternextfunc native_next;

static PyObject *
turn_next(PyObject *self)
{
    PyObject *raw = raw_of(self);
    int mine = raw != NULL && Py_IS_TYPE(raw, file_type) ? 0 : begin_turn(self);

    if (mine < 0)
        return NULL;
    return mine ? leave_turn(self, native_next(self)) : native_next(self);
}

/* As below, of what iteration calls. */
static int
exchange_next(PyTypeObject *kind, int on)
{
    iternextfunc now = on ? kind->tp_iternext : native_next, then = on ? turn_next : native_next;
    PyObject *method = PyObject_GetAttrString((PyObject *)kind, "__next__");
    int done = method != NULL && Py_IS_TYPE(method, &PyWrapperDescr_Type) && (native_next == NULL || native_next == now);

    if (done && kind->tp_iternext != then) {
        PyWrapperDescrObject *named = (PyWrapperDescrObject *)method;

        if (named->d_common.d_type == kind && named->d_wrapped == (void *)kind->tp_iternext)
            named->d_wrapped = (void *)then;
        native_next = now;
        kind->tp_iternext = then;
    }
    Py_XDECREF(method); /* the class has it */
    return method == NULL ? -1 : done;
}

#define ANY(function) (PyCFunction)(void (*)(void))(function)
#define TURN(name, flags) {#name, flags, ANY(turn_##name), (PyCFunction *)(void *)&native_##name}

static const struct {
    const char *name;
    int flags;
    PyCFunction turn, *native;
} turns[] = {
    TURN(read, METH_FASTCALL), TURN(read1, METH_FASTCALL), TURN(readline, METH_FASTCALL), TURN(peek, METH_FASTCALL),
    TURN(seek, METH_FASTCALL), TURN(truncate, METH_FASTCALL), TURN(readinto, METH_O), TURN(readinto1, METH_O),
    TURN(write, METH_O), TURN(flush, METH_NOARGS), TURN(close, METH_NOARGS),
    {"truncate", METH_METHOD | METH_FASTCALL | METH_KEYWORDS, ANY(turn_truncate_of_class),
     (PyCFunction *)(void *)&native_truncate_of_class},
};

/* Has the method `name` of a class take turns, or no longer; whether that could be. */
static int
exchange_method(PyTypeObject *kind, const char *name, int on)
{
    PyObject *method = PyObject_GetAttrString((PyObject *)kind, name);
    PyMethodDef *def = NULL;
    int done = 0;

    if (method == NULL)
        return -1;
    if (Py_IS_TYPE(method, &PyMethodDescr_Type) && ((PyMethodDescrObject *)method)->d_common.d_type == kind)
        def = ((PyMethodDescrObject *)method)->d_method;
    for (Py_ssize_t i = 0; def != NULL && i < LEN(turns) && !done; i++) {
        if (strcmp(turns[i].name, name) != 0 || turns[i].flags != def->ml_flags)
            continue;
        if (on && def->ml_meth != turns[i].turn && (*turns[i].native == NULL || *turns[i].native == def->ml_meth)) {
            *turns[i].native = def->ml_meth;
            def->ml_meth = turns[i].turn;
        }
        else if (!on && def->ml_meth == turns[i].turn)
            def->ml_meth = *turns[i].native;
        done = on == (def->ml_meth == turns[i].turn);
    }
    Py_DECREF(method); /* the class has it */
    return done;
}

/* take_turns(class, names, on): has methods of a buffered class take turns, or no longer; the names for which that can't be. */
static PyObject *
take_turns(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *left, *names;

    if (nargs != 3 || inside == NULL || !PyType_Check(args[0]) || !PyTuple_Check(args[1]))
        return PyErr_Format(PyExc_TypeError, "take_turns(class, names, on), after setup_files()");
    names = args[1];
    left = PyList_New(0);
    for (Py_ssize_t i = 0; left != NULL && i < PyTuple_GET_SIZE(names); i++) {
        PyObject *name = PyTuple_GET_ITEM(names, i);
        const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : "";
        PyTypeObject *kind = (PyTypeObject *)args[0];
        int done = -1, on = args[2] == Py_True;

        if (text != NULL)
            done = strcmp(text, "__next__") == 0 ? exchange_next(kind, on) : exchange_method(kind, text, on);
        if (done < 0 || (!done && PyList_Append(left, name) < 0))
            Py_CLEAR(left);
    }
    return left;
}
