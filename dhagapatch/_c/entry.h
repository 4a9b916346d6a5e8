/* The way into a patched call, and out of it: see `core.entry`. */

static const char *runtime_prefix = ""; /* of the modules whose frames are not shown; empty: all are */
static Py_ssize_t runtime_prefix_length;

typedef struct {
    PyObject_HEAD
    PyObject *function, *native, *real; /* written in Python; who has the words for arguments that do not fit, or NULL; what it stands for */
    PyObject *name, *qualname, *module, *owner, *doc;
    long cost;
    int quick;
    vectorcallfunc call;
} EntryCall;

static int
is_of_runtime(PyTracebackObject *step)
{
    PyObject *globals = PyFrame_GetGlobals(step->tb_frame), *name = NULL;
    int is_so = 0;

    if (globals != NULL && PyDict_Check(globals))
        name = PyDict_GetItemString(globals, "__name__");
    if (name != NULL && PyUnicode_Check(name)) {
        Py_ssize_t size;
        const char *text = PyUnicode_AsUTF8AndSize(name, &size);
        if (text == NULL)
            PyErr_Clear();
        else
            is_so = size > runtime_prefix_length && memcmp(text, runtime_prefix, (size_t)runtime_prefix_length) == 0;
    }
    Py_XDECREF(globals);
    return is_so;
}

/* A new reference to the first step of a traceback that is the program's; those of the runtime behind it are taken out.  NULL: there
   is none. */
static PyObject *
without_runtime(PyObject *traceback)
{
    PyTracebackObject *step = (PyTracebackObject *)traceback, *kept = NULL;
    PyObject *first = NULL;

    for (; step != NULL; step = step->tb_next) {
        if (is_of_runtime(step))
            continue;
        if (kept == NULL)
            first = Py_NewRef((PyObject *)step);
        else if (kept->tb_next != step) {
            PyTracebackObject *before = kept->tb_next;
            kept->tb_next = (PyTracebackObject *)Py_NewRef((PyObject *)step);
            Py_XDECREF(before);
        }
        kept = step;
    }
    if (kept != NULL && kept->tb_next != NULL)
        Py_CLEAR(kept->tb_next);
    return first;
}

/* The function has failed. */
static COLD PyObject *
entry_failed(EntryCall *self, PyObject *const *args, size_t nargsf, PyObject *names)
{
    PyObject *type, *value, *traceback, *left;

    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    /* HAZARD: only if the arguments did not fit, nothing was done yet: then the function had no frame */
    if (traceback == NULL && self->native != NULL && PyErr_GivenExceptionMatches(type, PyExc_TypeError)) {
        Py_XDECREF(type);
        Py_XDECREF(value);
        return PyObject_Vectorcall(self->native, args, nargsf & ~PY_VECTORCALL_ARGUMENTS_OFFSET, names);
    }
    if (traceback != NULL && runtime_prefix_length && PyTraceBack_Check(traceback)) {
        left = without_runtime(traceback);
        if (value != NULL && PyExceptionInstance_Check(value) && PyException_SetTraceback(value, left == NULL ? Py_None : left) < 0)
            PyErr_Clear();
        Py_SETREF(traceback, left);
    }
    PyErr_Restore(type, value, traceback);
    return NULL;
}

static PyObject *
entry_call(PyObject *callable, PyObject *const *args, size_t nargsf, PyObject *names)
{
    EntryCall *self = (EntryCall *)callable;
    PyObject *result;

    if (self->cost && pay(self->cost, self->quick) < 0)
        return entry_failed(self, args, nargsf, names);
    result = PyObject_Vectorcall(self->function, args, nargsf & ~PY_VECTORCALL_ARGUMENTS_OFFSET, names);
    return result != NULL ? result : entry_failed(self, args, nargsf, names);
}

static PyObject *
entry_get(PyObject *self, PyObject *object, PyObject *type)
{
    return object == NULL || object == Py_None ? Py_NewRef(self) : PyMethod_New(self, object);
}

static int
entry_traverse(EntryCall *self, visitproc visit, void *arg)
{
    Py_VISIT(self->function);
    Py_VISIT(self->native);
    Py_VISIT(self->real);
    Py_VISIT(self->owner);
    return 0;
}

static void
entry_dealloc(EntryCall *self)
{
    PyObject_GC_UnTrack(self);
    Py_XDECREF(self->function);
    Py_XDECREF(self->native);
    Py_XDECREF(self->real);
    Py_XDECREF(self->name);
    Py_XDECREF(self->qualname);
    Py_XDECREF(self->module);
    Py_XDECREF(self->owner);
    Py_XDECREF(self->doc);
    PyObject_GC_Del(self);
}

static PyObject *
entry_repr(EntryCall *self)
{
    if (Py_TYPE(self)->tp_descr_get != NULL)
        return PyUnicode_FromFormat("<method '%U' of '%U' objects>", self->name, self->owner);
    return PyUnicode_FromFormat("<built-in function %U>", self->name);
}

static PyObject *
entry_reduce(EntryCall *self, PyObject *ignored)
{
    return Py_NewRef(self->qualname);
}

static PyObject *
entry_itself(PyObject *self, PyObject *ignored)
{
    return Py_NewRef(self);
}

/* That of what it stands for; ValueError, as natively, if that does not tell. */
static PyObject *
entry_signature(EntryCall *self, void *ignored)
{
    PyObject *inspect = PyImport_ImportModule("inspect"), *result = NULL;

    if (inspect != NULL)
        result = PyObject_CallMethod(inspect, "signature", "O", self->real);
    Py_XDECREF(inspect);
    return result;
}

static PyMemberDef entry_members[] = {
    {"__name__", T_OBJECT_EX, offsetof(EntryCall, name), READONLY, NULL},
    {"__qualname__", T_OBJECT_EX, offsetof(EntryCall, qualname), READONLY, NULL},
    {"__module__", T_OBJECT, offsetof(EntryCall, module), READONLY, NULL},
    {"__self__", T_OBJECT_EX, offsetof(EntryCall, owner), READONLY, NULL},
    {"__doc__", T_OBJECT, offsetof(EntryCall, doc), READONLY, NULL},
    {"__wrapped__", T_OBJECT_EX, offsetof(EntryCall, function), READONLY, NULL},
    {NULL},
};

/* those of a method have no `__self__`, and show the signature of what they are written in */
static PyMemberDef entry_method_members[] = {
    {"__name__", T_OBJECT_EX, offsetof(EntryCall, name), READONLY, NULL},
    {"__qualname__", T_OBJECT_EX, offsetof(EntryCall, qualname), READONLY, NULL},
    {"__module__", T_OBJECT, offsetof(EntryCall, module), READONLY, NULL},
    {"__doc__", T_OBJECT, offsetof(EntryCall, doc), READONLY, NULL},
    {"__wrapped__", T_OBJECT_EX, offsetof(EntryCall, function), READONLY, NULL},
    {NULL},
};

static PyGetSetDef entry_getset[] = {
    {"__signature__", (getter)entry_signature, NULL, NULL, NULL},
    {NULL},
};

static PyMethodDef entry_methods[] = {
    {"__reduce__", (PyCFunction)entry_reduce, METH_NOARGS, NULL},
    {"__copy__", entry_itself, METH_NOARGS, NULL},
    {"__deepcopy__", entry_itself, METH_O, NULL},
    {NULL},
};

static PyTypeObject entry_function_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "builtin_function_or_method",
    .tp_basicsize = sizeof(EntryCall),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_dealloc = (destructor)entry_dealloc,
    .tp_traverse = (traverseproc)entry_traverse,
    .tp_members = entry_members,
    .tp_getset = entry_getset,
    .tp_methods = entry_methods,
    .tp_repr = (reprfunc)entry_repr,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(EntryCall, call),
};

static PyTypeObject entry_method_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "method_descriptor",
    .tp_basicsize = sizeof(EntryCall),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_METHOD_DESCRIPTOR,
    .tp_dealloc = (destructor)entry_dealloc,
    .tp_traverse = (traverseproc)entry_traverse,
    .tp_members = entry_method_members,
    .tp_methods = entry_methods,
    .tp_repr = (reprfunc)entry_repr,
    .tp_call = PyVectorcall_Call,
    .tp_vectorcall_offset = offsetof(EntryCall, call),
    .tp_descr_get = entry_get,
};

static PyObject *
text_of(PyObject *object, const char *attribute)
{
    PyObject *text = PyObject_GetAttrString(object, attribute);

    if (text == NULL)
        PyErr_Clear();
    else if (PyUnicode_Check(text))
        return text;
    Py_XDECREF(text);
    return NULL;
}

/* entry(function, real, cost, quick, native, is_method) */
static PyObject *
entry(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    EntryCall *made;
    PyObject *owner;
    int is_method, quick;
    long cost;

    if (nargs != 6 || !PyCallable_Check(args[0]))
        return PyErr_Format(PyExc_TypeError, "entry(function, real, cost, quick, native, is_method)");
    cost = PyLong_AsLong(args[2]);
    quick = PyObject_IsTrue(args[3]);
    is_method = PyObject_IsTrue(args[5]);
    if (PyErr_Occurred())
        return NULL;
    made = PyObject_GC_New(EntryCall, is_method ? &entry_method_type : &entry_function_type);
    if (made == NULL)
        return NULL;
    made->function = Py_NewRef(args[0]);
    made->real = Py_NewRef(args[1]);
    made->native = args[4] == Py_None ? NULL : Py_NewRef(args[4]);
    made->cost = cost;
    made->quick = quick;
    made->call = entry_call;
    made->name = text_of(args[1], "__name__");
    if (made->name == NULL)
        made->name = PyUnicode_FromString("function");
    made->qualname = is_method ? text_of(args[1], "__qualname__") : Py_XNewRef(made->name);
    if (made->qualname == NULL)
        made->qualname = Py_XNewRef(made->name);
    made->module = text_of(args[1], "__module__");
    if (made->module == NULL && !is_method)
        made->module = PyUnicode_FromString("builtins");
    made->doc = text_of(args[1], "__doc__");
    if (is_method) {
        owner = PyObject_GetAttrString(args[1], "__objclass__");
        made->owner = owner == NULL ? NULL : text_of(owner, "__name__");
        Py_XDECREF(owner);
        PyErr_Clear();
        if (made->owner == NULL)
            made->owner = Py_XNewRef(made->qualname);
    }
    else {
        made->owner = Py_XNewRef(PyDict_GetItemWithError(PyImport_GetModuleDict(), made->module));
        if (made->owner == NULL && !PyErr_Occurred())
            made->owner = Py_NewRef(Py_None);
    }
    PyObject_GC_Track(made);
    if (made->name == NULL || made->qualname == NULL || made->owner == NULL)
        Py_CLEAR(made);
    return (PyObject *)made;
}

/* setup_entry(prefix): of the names of modules whose frames are not shown. */
static PyObject *
setup_entry(PyObject *module, PyObject *prefix)
{
    static PyObject *kept;

    if (!PyUnicode_Check(prefix))
        return PyErr_Format(PyExc_TypeError, "setup_entry() takes a str");
    if (PyType_Ready(&entry_function_type) < 0 || PyType_Ready(&entry_method_type) < 0)
        return NULL;
    runtime_prefix = PyUnicode_AsUTF8AndSize(prefix, &runtime_prefix_length);
    if (runtime_prefix == NULL)
        return NULL;
    Py_XSETREF(kept, Py_NewRef(prefix));
    Py_RETURN_NONE;
}

static int
send_later(void *number)
{
    PyErr_SetInterruptEx((int)(intptr_t)number);
    return 0;
}

/* signal_at_next_look(number) -> whether it is done: the handler is called when the interpreter looks for signals, next but one.

   HAZARD: the next look is in the frame that calls this.  So what it calls there is what sends the signal, and a handler that
   does no more after this is not called inside itself. */
static PyObject *
signal_at_next_look(PyObject *module, PyObject *number)
{
    long signum = PyLong_AsLong(number);

    if (signum == -1 && PyErr_Occurred())
        return NULL;
    return new_bool(Py_AddPendingCall(send_later, (void *)(intptr_t)signum) == 0);
}
