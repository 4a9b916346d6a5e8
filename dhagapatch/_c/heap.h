/* Who refers to what, as `gc.get_referrers`, which compares each reference of the heap with each of the objects asked for; and
   what there is of some classes. */

/* A set of pointers: open addressing, at most half full. */
typedef struct {
    PyObject **places;
    size_t mask;
} Pointers;

static inline PyObject **
place_of(const Pointers *set, PyObject *object)
{
    size_t at = ((size_t)object >> 4) * 0x9E3779B97F4A7C15u >> 7;

    while (set->places[at & set->mask] != NULL && set->places[at & set->mask] != object)
        at++;
    return set->places + (at & set->mask);
}

static int
is_sought(PyObject *referent, void *set)
{
    return *place_of(set, referent) != NULL;
}

/* The items of a list, to be given back by `PyMem_Free(set->places)`; or -1. */
static int
set_of(Pointers *set, PyObject *objects)
{
    set->mask = 7;
    while (set->mask + 1 < 2 * (size_t)PyList_GET_SIZE(objects))
        set->mask = 2 * set->mask + 1;
    set->places = PyMem_Calloc(set->mask + 1, sizeof(*set->places));
    if (set->places == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(objects); i++)
        *place_of(set, PyList_GET_ITEM(objects, i)) = PyList_GET_ITEM(objects, i);
    return 0;
}

static PyObject *
collectors_objects(void)
{
    PyObject *collector = PyImport_ImportModule("gc"), *all = NULL;

    if (collector != NULL)
        all = PyObject_CallMethod(collector, "get_objects", NULL);
    Py_XDECREF(collector);
    return all;
}

typedef struct {
    Pointers kinds;
    PyObject *found;
} Census;

static int
count_untracked(PyObject *referent, void *state)
{
    Census *census = state;

    if (*place_of(&census->kinds, (PyObject *)Py_TYPE(referent)) == NULL || PyObject_GC_IsTracked(referent))
        return 0;
    return PyList_Append(census->found, referent);
}

/* objects_of(classes) -> list: the collector's objects of these very classes, and what it does not know, but who refers to it;
   that may come more than once. */
static PyObject *
objects_of(PyObject *module, PyObject *classes)
{
    Census census = {{NULL, 0}, NULL};
    PyObject *all;
    int unknown = 0; /* whether there is a class whose objects the collector does not know */

    if (!PyList_Check(classes))
        return PyErr_Format(PyExc_TypeError, "objects_of() takes a list");
    if (set_of(&census.kinds, classes) < 0)
        return NULL;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(classes); i++)
        unknown |= !PyType_IS_GC((PyTypeObject *)PyList_GET_ITEM(classes, i));
    all = collectors_objects();
    if (all != NULL)
        census.found = PyList_New(0);
    for (Py_ssize_t i = 0; census.found != NULL && i < PyList_GET_SIZE(all); i++) {
        PyObject *one = PyList_GET_ITEM(all, i);
        traverseproc traverse = Py_TYPE(one)->tp_traverse;
        int is_one = *place_of(&census.kinds, (PyObject *)Py_TYPE(one)) != NULL;

        if (is_one && PyList_Append(census.found, one) < 0)
            Py_CLEAR(census.found);
        else if (unknown && traverse != NULL && traverse(one, count_untracked, &census))
            Py_CLEAR(census.found);
    }
    Py_XDECREF(all);
    PyMem_Free(census.kinds.places);
    return census.found;
}

/* referrers(objects) -> list: those of the collector's objects that refer to an item of the list; the list itself is none. */
static PyObject *
referrers(PyObject *module, PyObject *objects)
{
    PyObject *all, *found = NULL;
    Pointers sought;

    if (!PyList_Check(objects))
        return PyErr_Format(PyExc_TypeError, "referrers() takes a list");
    if (set_of(&sought, objects) < 0)
        return NULL;
    all = collectors_objects();
    if (all != NULL)
        found = PyList_New(0);
    for (Py_ssize_t i = 0; found != NULL && i < PyList_GET_SIZE(all); i++) {
        PyObject *one = PyList_GET_ITEM(all, i);
        traverseproc traverse = Py_TYPE(one)->tp_traverse;

        if (one != objects && traverse != NULL && traverse(one, is_sought, &sought) && PyList_Append(found, one) < 0)
            Py_CLEAR(found);
    }
    Py_XDECREF(all);
    PyMem_Free(sought.places);
    return found;
}
