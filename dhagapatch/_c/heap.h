/* Who refers to what, as `gc.get_referrers`, which compares each reference of the heap with each of the objects asked for. */

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

/* referrers(objects) -> list: those of the collector's objects that refer to an item of the list; the list itself is none. */
static PyObject *
referrers(PyObject *module, PyObject *objects)
{
    PyObject *collector, *all = NULL, *found = NULL;
    Pointers sought = {NULL, 7};

    if (!PyList_Check(objects))
        return PyErr_Format(PyExc_TypeError, "referrers() takes a list");
    while (sought.mask + 1 < 2 * (size_t)PyList_GET_SIZE(objects))
        sought.mask = 2 * sought.mask + 1;
    sought.places = PyMem_Calloc(sought.mask + 1, sizeof(*sought.places));
    if (sought.places == NULL)
        return PyErr_NoMemory();
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(objects); i++)
        *place_of(&sought, PyList_GET_ITEM(objects, i)) = PyList_GET_ITEM(objects, i);
    collector = PyImport_ImportModule("gc");
    if (collector != NULL)
        all = PyObject_CallMethod(collector, "get_objects", NULL);
    if (all != NULL)
        found = PyList_New(0);
    for (Py_ssize_t i = 0; found != NULL && i < PyList_GET_SIZE(all); i++) {
        PyObject *one = PyList_GET_ITEM(all, i);
        traverseproc traverse = Py_TYPE(one)->tp_traverse;

        if (one != objects && traverse != NULL && traverse(one, is_sought, &sought) && PyList_Append(found, one) < 0)
            Py_CLEAR(found);
    }
    Py_XDECREF(all);
    Py_XDECREF(collector);
    PyMem_Free(sought.places);
    return found;
}
