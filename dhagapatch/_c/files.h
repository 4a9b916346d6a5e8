/* Methods of buffered files that one dhaga at a time is in: most often nobody else is. */

static PyTypeObject *turns_type; /* the lock, which knows who is in */
static Py_ssize_t turns_owner;

typedef struct {
    PyObject_HEAD
    PyObject *native, *lock_name, *slow; /* the C method, the file's attribute, the method written in Python */
    PyObject *name, *qualname, *doc;
    vectorcallfunc call;
} Exclusive;

/* Lets the next one in; an exception that is raised stays so. */
static int
end_turn(PyObject *lock)
{
    PyObject **owner = (PyObject **)((char *)lock + turns_owner), *was = *owner, *done;
    PyObject *type, *value, *traceback;

    *owner = Py_NewRef(Py_None);
    Py_XDECREF(was); /* it runs, so it stays */
    if (!has_waiters(lock)) {
        put(lock, MUTEX_HELD, Py_NewRef(Py_False));
        return 0;
    }
    PyErr_Fetch(&type, &value, &traceback);
    done = PyObject_CallMethodNoArgs(lock, str_release);
    if (done == NULL) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(traceback);
        return -1;
    }
    Py_DECREF(done);
    PyErr_Restore(type, value, traceback);
    return 0;
}

static PyObject *
exclusive_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *names)
{
    Exclusive *self = (Exclusive *)callable;
    PyObject *lock, *me, *result, **owner;

    if (names != NULL || PyVectorcall_NARGS(nargsf) < 1 || (lock = PyObject_GetAttr(args[0], self->lock_name)) == NULL) {
        PyErr_Clear(); /* no such arguments, or no such file: it has the words */
        return PyObject_Vectorcall(self->native, args, nargsf, names);
    }
    if (!has_room(PyThreadState_Get(), 8)) { /* for the calls that let the next one in, which must not fail then */
        Py_DECREF(lock);
        return NULL;
    }
    me = (PyObject *)PyGreenlet_GetCurrent(); /* HAZARD: first, as it may run anything, the first time in a thread */
    if (me == NULL || !Py_IS_TYPE(lock, turns_type) || !is_plain(lock) || SLOT(lock, MUTEX_HELD) != Py_False) {
        PyErr_Clear();
        Py_XDECREF(me);
        Py_DECREF(lock);
        return PyObject_Vectorcall(self->slow, args, nargsf, names);
    }
    owner = (PyObject **)((char *)lock + turns_owner);
    put(lock, MUTEX_HELD, Py_NewRef(Py_True));
    Py_XSETREF(*owner, me);
    result = PyObject_Vectorcall(self->native, args, nargsf, NULL);
    if (end_turn(lock) < 0)
        Py_CLEAR(result);
    Py_DECREF(lock);
    return result;
}

static PyObject *
exclusive_get(PyObject *self, PyObject *object, PyObject *type)
{
    return object == NULL || object == Py_None ? Py_NewRef(self) : PyMethod_New(self, object);
}

static int
exclusive_traverse(Exclusive *self, visitproc visit, void *arg)
{
    Py_VISIT(self->native);
    Py_VISIT(self->slow);
    return 0;
}

static void
exclusive_dealloc(Exclusive *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->native);
    Py_XDECREF(self->lock_name);
    Py_XDECREF(self->slow);
    Py_XDECREF(self->name);
    Py_XDECREF(self->qualname);
    Py_XDECREF(self->doc);
    PyObject_GC_Del(self);
}

static PyMemberDef exclusive_members[] = {
    {"__name__", T_OBJECT, offsetof(Exclusive, name), READONLY, NULL},
    {"__qualname__", T_OBJECT, offsetof(Exclusive, qualname), READONLY, NULL},
    {"__doc__", T_OBJECT, offsetof(Exclusive, doc), READONLY, NULL},
    {"__wrapped__", T_OBJECT, offsetof(Exclusive, native), READONLY, NULL}, /* it has the signature */
    {NULL},
};

static PyTypeObject exclusive_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "dhagapatch._speedups.exclusive",
    .tp_basicsize = sizeof(Exclusive),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .tp_dealloc = (destructor)exclusive_dealloc,
    .tp_traverse = (traverseproc)exclusive_traverse,
    .tp_members = exclusive_members,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(Exclusive, call),
    .tp_descr_get = exclusive_get,
};

/* exclusive(native, lock_name, method): as `method`, which calls `native` when it is the caller's turn. */
static PyObject *
exclusive(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    Exclusive *made;

    if (nargs != 3 || turns_type == NULL)
        return PyErr_Format(PyExc_TypeError, "exclusive(native, lock_name, method), after setup_files()");
    made = PyObject_GC_New(Exclusive, &exclusive_type);
    if (made == NULL)
        return NULL;
    made->native = Py_NewRef(args[0]);
    made->lock_name = Py_NewRef(args[1]);
    made->slow = Py_NewRef(args[2]);
    made->name = PyObject_GetAttrString(args[2], "__name__");
    made->qualname = PyObject_GetAttrString(args[2], "__qualname__");
    made->doc = PyObject_GetAttrString(args[2], "__doc__");
    made->call = exclusive_call;
    PyObject_GC_Track(made);
    if (made->name == NULL || made->qualname == NULL || made->doc == NULL)
        Py_CLEAR(made);
    return (PyObject *)made;
}
