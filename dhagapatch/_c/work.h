/* Work in C that lets go of the interpreter, and may take long: hashing, compression.

   Such functions and methods are told another function where they stand, as those of buffered files are (`files.h`): whoever holds
   them follows.  A call of little data is made at once.  One that is expected to take longer than the way to a native thread and
   back is worth is handed to `move`, in Python, which calls the native one there, or says that it is to be made here.

   What is expected: how much data there is, times the seconds that a byte took of late. */

enum { LEAST_WORK = 4096, SAMPLED = 16, MOST_WORKS = 48 };

typedef struct {
    PyMethodDef *def;     /* the interpreter's */
    PyMethodDef own;      /* the same as it was, for native threads */
    PyCFunction stand_in; /* what `def` is told */
    Py_ssize_t place;     /* of the argument that tells how much it is; -1: none does */
    PyObject *word;       /* its name, if it may be given by it */
    double scale;         /* bytes to which one of its units amounts */
    double rate;          /* seconds a byte, of late: a moving average */
    unsigned calls;
} Work;

static Work works[MOST_WORKS];
static PyObject *move_work; /* what is written in Python */
static PyInterpreterState *works_interpreter;
static double worth; /* seconds from which on a call is moved */

/* What a call was given: `args` and `names` as of a vectorcall, `kind` for methods that are told their class. */
typedef struct {
    PyObject *self, *const *args, *names;
    Py_ssize_t nargs;
    PyTypeObject *kind;
} Arguments;

typedef PyObject *(*with_names)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);

static PyObject *
call_native(const Work *work, const Arguments *given)
{
    PyCFunction native = work->own.ml_meth;

    switch (work->own.ml_flags) {
    case METH_O: return native(given->self, given->args[0]);
    case METH_FASTCALL: return ((fastcall)(void (*)(void))native)(given->self, given->args, given->nargs);
    case METH_FASTCALL | METH_KEYWORDS:
        return ((with_names)(void (*)(void))native)(given->self, given->args, given->nargs, given->names);
    default:
        return ((PyCMethod)(void (*)(void))native)(given->self, given->kind, given->args, (size_t)given->nargs, given->names);
    }
}

/* The argument that tells how much it is, or NULL. */
static inline PyObject *
telling(const Work *work, const Arguments *given)
{
    if (work->place < given->nargs)
        return given->args[work->place];
    for (Py_ssize_t i = 0; given->names != NULL && i < PyTuple_GET_SIZE(given->names); i++)
        if (PyUnicode_Compare(PyTuple_GET_ITEM(given->names, i), work->word) == 0)
            return given->args[given->nargs + i];
    return NULL;
}

/* HAZARD: of what has a `__buffer__` in Python nothing is asked: it would be called twice. */
static int
is_plain_buffer(PyObject *data)
{
    return PyBytes_CheckExact(data) || PyByteArray_CheckExact(data) || PyMemoryView_Check(data)
           || (!PyType_HasFeature(Py_TYPE(data), Py_TPFLAGS_HEAPTYPE) && PyObject_CheckBuffer(data));
}

/* How much it is, in bytes; 0 where that can't be told: the native one has the words. */
static inline double
amount_of(const Work *work, const Arguments *given)
{
    PyObject *what;
    double amount = 0;

    if (work->place < 0)
        return LEAST_WORK;
    what = telling(work, given);
    if (what == NULL)
        return 0;
    if (PyBytes_CheckExact(what))
        amount = (double)PyBytes_GET_SIZE(what);
    else if (PyLong_CheckExact(what)) {
        amount = (double)PyLong_AsSsize_t(what);
        if (amount < 0)
            PyErr_Clear();
    }
    else if (is_plain_buffer(what)) {
        Py_buffer view;

        if (PyObject_GetBuffer(what, &view, PyBUF_SIMPLE) < 0)
            PyErr_Clear();
        else {
            amount = (double)view.len;
            PyBuffer_Release(&view);
        }
    }
    return amount * work->scale;
}

static void
learn_work(Work *work, double amount, double seconds)
{
    work->rate += (seconds / amount - work->rate) / 4;
}

static PyObject *
measured_here(Work *work, const Arguments *given, double amount)
{
    double began = seconds_now();
    PyObject *result = call_native(work, given);

    if (result != NULL) /* what failed did not take its time */
        learn_work(work, amount, seconds_now() - began);
    return result;
}

/* What came of it on a native thread; NotImplemented: it is to be made here. */
static PyObject *
moved(Work *work, const Arguments *given, double amount)
{
    Py_ssize_t words = given->names == NULL ? 0 : PyTuple_GET_SIZE(given->names);
    PyObject *function, *arguments = PyTuple_New(given->nargs), *named = words ? PyDict_New() : Py_NewRef(Py_None), *result = NULL;

    function = given->kind != NULL ? PyCMethod_New(&work->own, given->self, NULL, given->kind)
                                   : PyCFunction_NewEx(&work->own, given->self, NULL);
    for (Py_ssize_t i = 0; arguments != NULL && i < given->nargs; i++)
        PyTuple_SET_ITEM(arguments, i, Py_NewRef(given->args[i]));
    for (Py_ssize_t i = 0; named != NULL && i < words; i++)
        if (PyDict_SetItem(named, PyTuple_GET_ITEM(given->names, i), given->args[given->nargs + i]) < 0)
            Py_CLEAR(named);
    if (function != NULL && arguments != NULL && named != NULL)
        result = PyObject_CallFunction(move_work, "ndOOO", (Py_ssize_t)(work - works), amount, function, arguments, named);
    Py_XDECREF(function);
    Py_XDECREF(arguments);
    Py_XDECREF(named);
    return result;
}

static COLD PyObject *
much_work(Work *work, const Arguments *given, double amount)
{
    double expected = work->rate * amount;
    Py_buffer view;
    PyObject *data, *result;

    if (expected < worth)
        return expected < worth / 4 && ++work->calls % SAMPLED != 0 ? call_native(work, given) : measured_here(work, given, amount);
    if (PyThreadState_Get()->interp != works_interpreter || move_work == NULL)
        return call_native(work, given); /* HAZARD: the structures of functions are those of all interpreters */
    if (!has_room(PyThreadState_Get(), 16)) {
        PyErr_Clear();
        return call_native(work, given);
    }
    /* HAZARD: held as long as the call lasts, as natively, not from when a thread is free: nobody may resize what it reads */
    data = work->place < 0 ? NULL : telling(work, given);
    view.obj = NULL;
    if (data != NULL && !PyLong_CheckExact(data) && PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return NULL;
    result = moved(work, given, amount);
    if (view.obj != NULL)
        PyBuffer_Release(&view);
    if (result != Py_NotImplemented)
        return result;
    Py_DECREF(result);
    return measured_here(work, given, amount);
}

static inline PyObject *
do_work(Work *work, const Arguments *given)
{
    double amount = amount_of(work, given);

    return amount < LEAST_WORK ? call_native(work, given) : much_work(work, given, amount);
}

/* Each has functions of its own, one of which is told: they are not told which method they are. */
#define STAND_INS(n)                                                                                                           \
    static PyObject *work_o_##n(PyObject *self, PyObject *argument)                                                            \
    {                                                                                                                          \
        return do_work(&works[n], &(Arguments){self, &argument, NULL, 1, NULL});                                                   \
    }                                                                                                                          \
    static PyObject *work_fast_##n(PyObject *self, PyObject *const *args, Py_ssize_t nargs)                                    \
    {                                                                                                                          \
        return do_work(&works[n], &(Arguments){self, args, NULL, nargs, NULL});                                                    \
    }                                                                                                                          \
    static PyObject *work_named_##n(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *names)                  \
    {                                                                                                                          \
        return do_work(&works[n], &(Arguments){self, args, names, nargs, NULL});                                                   \
    }                                                                                                                          \
    static PyObject *work_kind_##n(PyObject *self, PyTypeObject *kind, PyObject *const *args, size_t nargs, PyObject *names)   \
    {                                                                                                                          \
        return do_work(&works[n], &(Arguments){self, args, names, (Py_ssize_t)nargs, kind});                                       \
    }
#define EIGHT(of, n) of(n##0) of(n##1) of(n##2) of(n##3) of(n##4) of(n##5) of(n##6) of(n##7)
#define EACH_WORK(of) EIGHT(of, 0) EIGHT(of, 01) EIGHT(of, 02) EIGHT(of, 03) EIGHT(of, 04) EIGHT(of, 05) /* octal */

EACH_WORK(STAND_INS)

#define STAND_INS_OF(n) {ANY(work_o_##n), ANY(work_fast_##n), ANY(work_named_##n), ANY(work_kind_##n)},

static const PyCFunction stand_ins[MOST_WORKS][4] = {EACH_WORK(STAND_INS_OF)};

/* The structure from which a function or method was made, or NULL. */
static PyMethodDef *
def_of(PyObject *function)
{
    if (PyCFunction_Check(function))
        return ((PyCFunctionObject *)function)->m_ml;
    return Py_IS_TYPE(function, &PyMethodDescr_Type) ? ((PyMethodDescrObject *)function)->d_method : NULL;
}

/* move_works(function, place, word, scale, rate, on): has it call `move` where that pays, or no longer; whether that could be.
   `place`: of the argument that tells how much it is, data or a number; -1: none. */
static PyObject *
move_works(PyObject *module, PyObject *args)
{
    PyObject *function, *word;
    PyMethodDef *def;
    Py_ssize_t place, i = 0;
    double scale, rate;
    int on, form;

    if (!PyArg_ParseTuple(args, "OnUddp:move_works", &function, &place, &word, &scale, &rate, &on))
        return NULL;
    if ((def = def_of(function)) == NULL)
        Py_RETURN_FALSE;
    while (i < MOST_WORKS && works[i].def != NULL && works[i].def != def)
        i++;
    if (i == MOST_WORKS)
        Py_RETURN_FALSE;
    if (!on) {
        if (works[i].def == def && def->ml_meth == works[i].stand_in)
            def->ml_meth = works[i].own.ml_meth;
        Py_RETURN_TRUE;
    }
    switch (def->ml_flags & ~METH_STATIC & ~METH_CLASS) {
    case METH_O: form = 0; break;
    case METH_FASTCALL: form = 1; break;
    case METH_FASTCALL | METH_KEYWORDS: form = 2; break;
    case METH_METHOD | METH_FASTCALL | METH_KEYWORDS: form = 3; break;
    default: Py_RETURN_FALSE;
    }
    if (works[i].def == NULL) {
        works[i] = (Work){def, *def, stand_ins[i][form], place, Py_NewRef(word), scale, rate, 0};
        works[i].own.ml_flags = def->ml_flags & ~METH_STATIC & ~METH_CLASS;
    }
    if (def->ml_meth != works[i].stand_in && def->ml_meth != works[i].own.ml_meth)
        Py_RETURN_FALSE; /* somebody else has exchanged it */
    def->ml_meth = works[i].stand_in;
    Py_RETURN_TRUE;
}

/* setup_works(move, seconds): `move(work, amount, function, args, names)`; from how many seconds on it is called. */
static PyObject *
setup_works(PyObject *module, PyObject *args)
{
    PyObject *move;

    if (!PyArg_ParseTuple(args, "Od:setup_works", &move, &worth))
        return NULL;
    Py_XSETREF(move_work, Py_NewRef(move));
    works_interpreter = PyThreadState_Get()->interp;
    Py_RETURN_NONE;
}

/* work_took(work, amount, seconds) */
static PyObject *
work_took(PyObject *module, PyObject *args)
{
    Py_ssize_t work;
    double amount, seconds;

    if (!PyArg_ParseTuple(args, "ndd:work_took", &work, &amount, &seconds))
        return NULL;
    if (work < 0 || work >= MOST_WORKS || !(amount > 0) || !(seconds >= 0))
        return PyErr_Format(PyExc_ValueError, "there is no such work");
    learn_work(&works[work], amount, seconds);
    Py_RETURN_NONE;
}
