/* `threading.local`: an attribute of the dictionary that the calling dhaga has used before. */

static PyTypeObject *local_type;
static PyObject *slow_local_get, *slow_local_set;
static Py_ssize_t local_dicts; /* where an object has its dictionaries, by greenlet */

/* The caller's dictionary, a new reference; NULL: Python has to find it, or make it. */
static PyObject *
own_dict(PyObject *self, PyObject *name)
{
    PyObject *dicts, *me, *own;

    if (!Py_IS_TYPE(self, local_type) || !PyUnicode_CheckExact(name))
        return NULL;
    dicts = *(PyObject **)((char *)self + local_dicts);
    me = (PyObject *)PyGreenlet_GetCurrent();
    if (dicts == NULL || me == NULL) {
        Py_XDECREF(me);
        PyErr_Clear();
        return NULL;
    }
    own = Py_XNewRef(PyDict_GetItemWithError(dicts, me));
    Py_DECREF(me);
    if (own == NULL)
        PyErr_Clear();
    return own;
}

/* local.__getattribute__(name) */
static PyObject *
local_get(PyObject *self, PyObject *name)
{
    PyObject *own = own_dict(self, name), *value;

    if (own != NULL) {
        value = Py_XNewRef(PyDict_GetItemWithError(own, name));
        Py_DECREF(own);
        if (value != NULL || PyErr_Occurred())
            return value;
    }
    return call_slow(slow_local_get, self, &name, 1, NULL);
}

/* What is no attribute of the data, but of every object: Python knows which. */
static int
is_of_all(PyObject *name)
{
    return PyUnicode_GET_LENGTH(name) > 1 && PyUnicode_READ_CHAR(name, 0) == '_' && PyUnicode_READ_CHAR(name, 1) == '_';
}

/* local.__setattr__(name, value) */
static PyObject *
local_set(PyObject *self, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *own = nargs == 2 ? own_dict(self, args[0]) : NULL;
    int done;

    if (own == NULL || is_of_all(args[0])) {
        Py_XDECREF(own);
        return call_slow(slow_local_set, self, args, nargs, NULL);
    }
    done = PyDict_SetItem(own, args[0], args[1]);
    Py_DECREF(own);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
}
