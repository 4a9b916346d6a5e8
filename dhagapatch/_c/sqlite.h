/* SQLite waits in two places: it sleeps until another connection has done with the file, in its VFS, and it waits for the mutex of
   a connection that another thread is busy with.  Both are exchanged, in the library itself, for all who use it.

   - `xSleep` of the VFS lets other dhagas run meanwhile.  How often and how long it sleeps, and what it says in the end, stays
     SQLite's own.
   - The mutex of a connection knows OS threads only, and is recursive: a dhaga would get in where another one stands still inside
     of a call, in that sleep or in a function of Python's.  A *latch* stands for it, which is marked while its holder is switched
     away from (`suspend_latches`), and for which others of that OS thread wait.

   HAZARD: all this is called without the interpreter's lock, mostly.  A latch is read and written by the OS thread that holds it. */

#include <dlfcn.h>
#include <pthread.h>

typedef struct Vfs { /* sqlite3_vfs; its layout is part of SQLite's documented interface */
    int version, file_size, longest_path;
    struct Vfs *next;
    const char *name;
    void *data;
    void (*of_files[4])(void);
    void (*of_libraries[4])(void);
    void (*random)(void);
    int (*sleep)(struct Vfs *, int);
} Vfs;

typedef struct { /* sqlite3_mutex_methods, likewise */
    int (*init)(void);
    int (*end)(void);
    void *(*alloc)(int);
    void (*free)(void *);
    void (*enter)(void *);
    int (*try)(void *);
    void (*leave)(void *);
    int (*held)(void *);
    int (*not_held)(void *);
} MutexMethods;

typedef struct Waiting { /* HAZARD: not on the stack, which is moved away while its greenlet waits */
    PyObject *parker;
    struct Waiting *next;
} Waiting;

typedef struct Latch {
    void *mutex;          /* SQLite's own */
    int is_connections;   /* recursive */
    int depth;
    int is_suspended;     /* whoever holds it has been switched away from */
    pthread_t owner;      /* while `depth` is not 0 */
    struct Latch *next;   /* of those that its holder has */
    Waiting *first;       /* of the same OS thread */
} Latch;

enum { FAST_MUTEX, RECURSIVE_MUTEX, STATIC_MUTEXES, MOST_MUTEXES = 32 };
enum { CONFIG_MUTEX = 10, CONFIG_GETMUTEX = 11, STATUS_MALLOC_COUNT = 9 };

static __thread Latch *latches_held; /* by the running greenlet */
static __thread int fast_held;       /* by this OS thread, of the mutexes that are no latches */

static MutexMethods sqlite_mutex;
static Latch static_mutexes[MOST_MUTEXES];
static int (*sqlite_sleep)(Vfs *, int);
static PyObject *sqlite_nap, *sqlite_parker, *sqlite_wait, *sqlite_wake; /* sleep(seconds), parker(), wait(parker), wake(parker) */
static int sqlite_waits_green, sqlite_has_latches;

/* The running greenlet, which has these, is switched away from; or back to. */
static COLD void
mark_latches(Latch *latch, int is_suspended)
{
    for (; latch != NULL; latch = latch->next)
        latch->is_suspended = is_suspended;
}

static inline Latch *
suspend_latches(void)
{
    Latch *mine = latches_held;

    if (__builtin_expect(mine != NULL, 0)) {
        mark_latches(mine, 1);
        latches_held = NULL;
    }
    return mine;
}

static inline void
resume_latches(Latch *mine)
{
    if (__builtin_expect(mine != NULL, 0)) {
        mark_latches(mine, 0);
        latches_held = mine;
    }
}

/* Whether this OS thread is one of the main interpreter's; any other has no dhagas. */
static int
may_ask_python(void)
{
    PyThreadState *state = PyGILState_GetThisThreadState();

    return sqlite_waits_green && state != NULL && PyThreadState_GetInterpreter(state) == PyInterpreterState_Main();
}

/* Calls `function`, with an argument or without (NULL); NULL if it raises, which is told, and raised by nobody.
   HAZARD: SQLite is called while an exception is set, too. */
static PyObject *
call_python(PyObject *function, PyObject *argument)
{
    PyObject *result;
#if PY_VERSION_HEX >= 0x030C0000
    PyObject *before = PyErr_GetRaisedException();
#else
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
#endif

    result = argument == NULL ? PyObject_CallNoArgs(function) : PyObject_CallOneArg(function, argument);
    if (result == NULL)
        PyErr_WriteUnraisable(function);
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(before);
#else
    PyErr_Restore(type, value, traceback);
#endif
    return result;
}

/* Whether it says True. */
static int
ask_python(PyObject *function, PyObject *argument)
{
    PyObject *result = call_python(function, argument);

    Py_XDECREF(result); /* True and False are never gone */
    return result == Py_True;
}

static int
green_sleep(Vfs *vfs, int microseconds)
{
    int slept = 0;

    /* HAZARD: with a shared cache it sleeps with mutexes for which another dhaga would hold up the OS thread */
    if (microseconds > 0 && fast_held == 0 && may_ask_python()) {
        PyGILState_STATE state = PyGILState_Ensure();
        PyObject *seconds = PyFloat_FromDouble(microseconds / 1e6);

        if (seconds != NULL)
            slept = ask_python(sqlite_nap, seconds);
        Py_XDECREF(seconds);
        PyGILState_Release(state);
    }
    return slept ? microseconds : sqlite_sleep(vfs, microseconds);
}

static int
is_taken_by_another(Latch *latch)
{
    return latch->depth > 0 && latch->is_suspended && pthread_equal(latch->owner, pthread_self());
}

static void
leave_latch_queue(Latch *latch, Waiting *one)
{
    for (Waiting **at = &latch->first; *at != NULL; at = &(*at)->next)
        if (*at == one) {
            *at = one->next;
            return;
        }
}

/* Waits until no other dhaga of this OS thread has it.  HAZARD: first in the queue, then the last look, then the wait: whoever
   leaves it meanwhile, in a finalizer that runs in a call here, finds the waiter, and has woken it before it waits.  Who can't wait,
   as a finalizer in the hub, goes in as ever. */
static COLD void
await_latch(Latch *latch)
{
    PyGILState_STATE state;
    int waits = 1, waited = 0; /* in vain: next time it is the first */

    if (!may_ask_python())
        return;
    state = PyGILState_Ensure();
    while (waits && is_taken_by_another(latch)) {
        Waiting *one = PyMem_RawCalloc(1, sizeof(Waiting)), **last = &latch->first;

        if (one == NULL)
            break;
        one->parker = call_python(sqlite_parker, NULL);
        if (one->parker != NULL) {
            while (*last != NULL && !waited)
                last = &(*last)->next;
            one->next = *last;
            *last = one;
            waited = 1;
            waits = !is_taken_by_another(latch) || ask_python(sqlite_wait, one->parker);
            leave_latch_queue(latch, one);
            Py_DECREF(one->parker);
        }
        else
            waits = 0;
        PyMem_RawFree(one);
    }
    PyGILState_Release(state);
}

static COLD void
wake_for_latch(PyObject *parker)
{
    PyGILState_STATE state = PyGILState_Ensure();

    Py_INCREF(parker);
    ask_python(sqlite_wake, parker);
    Py_DECREF(parker);
    PyGILState_Release(state);
}

static void
got_latch(Latch *latch)
{
    if (!latch->is_connections)
        fast_held++;
    else if (latch->depth++ == 0) {
        latch->owner = pthread_self();
        latch->is_suspended = 0;
        latch->next = latches_held;
        latches_held = latch;
    }
}

static void
latch_enter(void *given)
{
    Latch *latch = given;

    if (latch->is_connections && __builtin_expect(is_taken_by_another(latch), 0))
        await_latch(latch);
    sqlite_mutex.enter(latch->mutex);
    got_latch(latch);
}

static int
latch_try(void *given)
{
    Latch *latch = given;
    int result = latch->is_connections && is_taken_by_another(latch) ? 5 /* SQLITE_BUSY */ : sqlite_mutex.try(latch->mutex);

    if (result == 0)
        got_latch(latch);
    return result;
}

static void
latch_leave(void *given)
{
    Latch *latch = given;
    Waiting *first = NULL;

    if (!latch->is_connections)
        fast_held--;
    else if (--latch->depth == 0) {
        Latch **at = &latches_held;

        while (*at != NULL && *at != latch)
            at = &(*at)->next;
        if (*at != NULL)
            *at = latch->next;
        latch->is_suspended = 0;
        first = latch->first;
        if (first != NULL)
            latch->first = first->next;
    }
    /* HAZARD: who has the interpreter's lock may wait for this mutex: it is left first, and may be gone after that.  The waiter,
       of this OS thread, stays where it is until it has been woken. */
    sqlite_mutex.leave(latch->mutex);
    if (first != NULL)
        wake_for_latch(first->parker);
}

static int
latch_init(void)
{
    return sqlite_mutex.init();
}

static int
latch_end(void)
{
    return sqlite_mutex.end();
}

static void *
latch_alloc(int kind)
{
    Latch *latch;

    if (kind >= MOST_MUTEXES)
        return NULL;
    latch = kind >= STATIC_MUTEXES ? &static_mutexes[kind] : calloc(1, sizeof(Latch));
    if (latch != NULL) {
        latch->is_connections = kind == RECURSIVE_MUTEX;
        latch->mutex = sqlite_mutex.alloc(kind);
        if (latch->mutex == NULL) {
            if (kind < STATIC_MUTEXES)
                free(latch);
            latch = NULL;
        }
    }
    return latch;
}

static void
latch_free(void *given)
{
    Latch *latch = given;

    sqlite_mutex.free(latch->mutex);
    free(latch);
}

static int
latch_held(void *given)
{
    return sqlite_mutex.held(((Latch *)given)->mutex);
}

static int
latch_not_held(void *given)
{
    return sqlite_mutex.not_held(((Latch *)given)->mutex);
}

/* Has the library make latches; 0: it can't be had, as somebody has a connection already.  It is shut down for it, and begins anew. */
static int
put_latches(void *library)
{
    int (*config)(int, ...) = (int (*)(int, ...))dlsym(library, "sqlite3_config");
    int (*status)(int, int *, int *, int) = (int (*)(int, int *, int *, int))dlsym(library, "sqlite3_status");
    int (*begin)(void) = (int (*)(void))dlsym(library, "sqlite3_initialize"), (*end)(void) = (int (*)(void))dlsym(library, "sqlite3_shutdown");
    int (*is_safe)(void) = (int (*)(void))dlsym(library, "sqlite3_threadsafe");
    void *(*get)(int) = (void *(*)(int))dlsym(library, "sqlite3_malloc");
    void (*give)(void *) = (void (*)(void *))dlsym(library, "sqlite3_free");
    int count = 0, counts = 0, most;
    MutexMethods methods = {latch_init, latch_end, latch_alloc, latch_free, latch_enter, latch_try, latch_leave, latch_held, latch_not_held};
    void *some;

    if (config == NULL || status == NULL || begin == NULL || end == NULL || is_safe == NULL || get == NULL || give == NULL || !is_safe())
        return 0;
    some = get(16);
    if (some == NULL || status(STATUS_MALLOC_COUNT, &counts, &most, 0) != 0)
        return 0;
    give(some);
    if (counts == 0 || status(STATUS_MALLOC_COUNT, &count, &most, 0) != 0 || count != 0)
        return 0; /* it does not count, or something is in use */
    if (end() != 0)
        return 0;
    if (config(CONFIG_GETMUTEX, &sqlite_mutex) == 0 && sqlite_mutex.alloc != NULL) {
        if (sqlite_mutex.held == NULL)
            methods.held = methods.not_held = NULL;
        sqlite_has_latches = config(CONFIG_MUTEX, &methods) == 0;
    }
    if (begin() != 0 && sqlite_has_latches) {
        config(CONFIG_MUTEX, &sqlite_mutex);
        sqlite_has_latches = 0;
        begin();
    }
    return sqlite_has_latches;
}

/* sqlite_waits(path, nap, parker, wait, wake) -> whether the SQLite of this shared library (None: of the program itself) waits so from
   now on; sqlite_waits(): natively again. */
static PyObject *
sqlite_waits(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    const char *path = NULL;
    Vfs *(*find)(const char *), *vfs, *one;
    void *library;

    if (nargs == 0) {
        sqlite_waits_green = 0;
        Py_RETURN_NONE;
    }
    if (nargs != 5 || !PyCallable_Check(args[1]) || !PyCallable_Check(args[2]) || !PyCallable_Check(args[3]) || !PyCallable_Check(args[4]))
        return PyErr_Format(PyExc_TypeError, "sqlite_waits(path, nap, parker, wait, wake)");
    if (args[0] != Py_None && (path = PyUnicode_AsUTF8(args[0])) == NULL)
        return NULL;
    library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    find = library == NULL ? NULL : (Vfs * (*)(const char *)) dlsym(library, "sqlite3_vfs_find");
    if (find == NULL || (!sqlite_has_latches && !put_latches(library)) || (vfs = find(NULL)) == NULL)
        Py_RETURN_FALSE;
    Py_XSETREF(sqlite_nap, Py_NewRef(args[1]));
    Py_XSETREF(sqlite_parker, Py_NewRef(args[2]));
    Py_XSETREF(sqlite_wait, Py_NewRef(args[3]));
    Py_XSETREF(sqlite_wake, Py_NewRef(args[4]));
    if (vfs->sleep != green_sleep) {
        sqlite_sleep = vfs->sleep;
        for (one = vfs; one != NULL; one = one->next)
            if (one->sleep == sqlite_sleep)
                one->sleep = green_sleep;
    }
    sqlite_waits_green = 1;
    Py_RETURN_TRUE;
}
