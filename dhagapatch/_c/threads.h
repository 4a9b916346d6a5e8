/* What `threading` asks for again and again: who the caller is, and new locks. */

static PyTypeObject *green_lock_type;
static PyObject *init_of_lock, *no_waiters, *slow_get_ident, *slow_allocate_lock;

/* get_ident() */
static PyObject *
get_ident(PyObject *module, PyObject *ignored)
{
    PyGreenlet *me = PyGreenlet_GetCurrent();
    PyObject *found = NULL;

    if (me == NULL) {
        PyErr_Clear(); /* the interpreter's last moments */
        return PyObject_CallNoArgs(slow_get_ident);
    }
    if (Py_IS_TYPE(me, dhaga_type)) {
        found = Py_XNewRef(SLOT(me, TOKEN));
    }
    else {
        PyGreenlet *parent = PyGreenlet_GET_PARENT(me);
        if (parent == NULL)
            found = PyLong_FromUnsignedLong(PyThread_get_thread_ident());
        Py_XDECREF(parent);
    }
    Py_DECREF(me);
    return found != NULL || PyErr_Occurred() ? found : PyObject_CallNoArgs(slow_get_ident);
}

#define PROFILE "dhagapatch._speedups.take_profile"

static void
free_profile(PyObject *capsule)
{
    Py_XDECREF((PyObject *)PyCapsule_GetContext(capsule));
}

/* take_profile() -> what `put_profile` is to be given: the profile function of this OS thread, of C too; None: there is none.
   HAZARD: a function in C expects the very object that was set with it, so nobody else may put the two together. */
static PyObject *
take_profile(PyObject *module, PyObject *ignored)
{
    PyThreadState *state = PyThreadState_Get();
    PyObject *taken;

    if (state->c_profilefunc == NULL)
        Py_RETURN_NONE;
    taken = PyCapsule_New((void *)state->c_profilefunc, PROFILE, free_profile);
    if (taken == NULL || PyCapsule_SetContext(taken, Py_XNewRef(state->c_profileobj)) < 0)
        return NULL;
    PyEval_SetProfile(NULL, NULL);
    return taken;
}

static PyObject *
put_profile(PyObject *module, PyObject *taken)
{
    if (taken == Py_None)
        Py_RETURN_NONE;
    if (!PyCapsule_IsValid(taken, PROFILE))
        return PyErr_Format(PyExc_TypeError, "put_profile() takes what take_profile() has given");
    PyEval_SetProfile((Py_tracefunc)PyCapsule_GetPointer(taken, PROFILE), (PyObject *)PyCapsule_GetContext(taken));
    Py_RETURN_NONE;
}

/* As `core.tools.Tools` has them.  sees_tools() -> None, if this OS thread has no trace function, and is in no call of a tool. */
static PyObject *
sees_tools(PyObject *module, PyObject *ignored)
{
    PyThreadState *state = PyThreadState_Get();

    return Py_NewRef(state->c_traceobj != NULL || state->tracing != 0 ? Py_True : Py_None);
}

/* leave_tools() -> how deep it is in such calls; from then on it is in none. */
static PyObject *
leave_tools(PyObject *module, PyObject *ignored)
{
    PyThreadState *state = PyThreadState_Get();
    PyObject *depth = PyLong_FromLong(state->tracing);

    if (depth != NULL)
        state->tracing = 0;
    return depth;
}

static PyObject *
enter_tools(PyObject *module, PyObject *depth)
{
    long value = PyLong_AsLong(depth);

    if (value == -1 && PyErr_Occurred())
        return NULL;
    PyThreadState_Get()->tracing = (int)value;
    Py_RETURN_NONE;
}

/* allocate_lock() */
static PyObject *
allocate_lock(PyObject *module, PyObject *ignored)
{
    /* looked up each time: locks may be tracked */
    PyObject *init = PyObject_GetAttr((PyObject *)green_lock_type, str_init), *made;

    Py_XDECREF(init);
    if (init == NULL)
        return NULL;
    if (init != init_of_lock)
        return PyObject_CallNoArgs(slow_allocate_lock);
    made = green_lock_type->tp_alloc(green_lock_type, 0);
    if (made != NULL) {
        SLOT(made, MUTEX_HELD) = Py_NewRef(Py_False);
        SLOT(made, WAITERS) = Py_NewRef(no_waiters);
    }
    return made;
}
