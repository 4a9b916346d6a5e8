/* What the running thread may do before the others get their turn: see `core.budget`. */

enum { CALL_COST = 16 }; /* as `budget.CALL` */

static _Thread_local long budget_left;
static long budget_of_turn;
static PyObject *give_way;

static inline void
renew_budget(void)
{
    budget_left = budget_of_turn;
}

static COLD int
let_others_run(int quick)
{
    PyObject *done;

    renew_budget();
    if (give_way == NULL || PyThreadState_Get()->tracing) /* HAZARD: in a trace function the interpreter traces nobody */
        return 0;
    done = PyObject_CallOneArg(give_way, quick ? Py_True : Py_False);
    Py_XDECREF(done);
    return done == NULL ? -1 : 0;
}

/* Pays for a call, and lets the others run if nothing is left; -1 with an exception. */
static inline int
pay(long cost, int quick)
{
    return (budget_left -= cost) >= 0 ? 0 : let_others_run(quick);
}

/* charge(cost, quick=False) */
static PyObject *
charge(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    long cost = nargs < 1 || nargs > 2 ? 0 : PyLong_AsLong(args[0]);

    if (nargs < 1 || nargs > 2)
        return PyErr_Format(PyExc_TypeError, "charge(cost, quick=False)");
    if ((cost == -1 && PyErr_Occurred()) || pay(cost, nargs == 2 && args[1] == Py_True) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* setup_budget(give_way, units) */
static PyObject *
setup_budget(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    long units = nargs == 2 ? PyLong_AsLong(args[1]) : -1;

    if (nargs != 2 || !PyCallable_Check(args[0]) || (units == -1 && PyErr_Occurred())) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "setup_budget(give_way, units)");
        return NULL;
    }
    Py_XSETREF(give_way, Py_NewRef(args[0]));
    budget_of_turn = units;
    renew_budget();
    Py_RETURN_NONE;
}
