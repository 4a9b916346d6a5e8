/* SQLite waits in two places: it sleeps until another connection has done with the file, in its VFS, and it waits for the mutex of
   a connection that another thread is busy with.  Both are exchanged, in the library itself, for all who use it.

   - `xSleep` of the VFS lets other dhagas run meanwhile.  How often and how long it sleeps, and what it says in the end, stays
     SQLite's own.
   - The mutex of a connection knows OS threads only, and is recursive: a dhaga would get in where another one stands still inside
     of a call, in that sleep or in a function of Python's.  A *latch* stands for it, which is marked while its holder is switched
     away from (`suspend_latches`), and for which others of that OS thread wait.  So it is with the mutex of a shared cache, which
     is not recursive: there the OS thread would wait for itself.

   HAZARD: all this is called without the interpreter's lock, mostly.  A latch is read and written by the OS thread that holds it.
   Here, unlike natively, who holds a mutex asks for the interpreter's lock; so who has that lets go of it to wait for a mutex. */

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
    int is_urgent;        /* it was woken once in vain: next time it is its turn before all others' */
    struct Waiting *next;
} Waiting;

typedef struct Latch {
    void *mutex;          /* SQLite's own */
    int is_latch;         /* not one of the library's static ones, with which nothing of the program's is called */
    int depth;
    int is_suspended;     /* whoever holds it has been switched away from */
    int is_listed;        /* among those of a greenlet that holds it, or has held it: a direct switch of greenlet's mixes them up */
    int is_dead;          /* freed, and still listed */
    pthread_t owner;      /* who holds it, while `depth` is not 0, or for whose waiter it is kept */
    struct Latch *next;   /* of those that its holder has */
    Waiting *first;       /* of one OS thread */
    Waiting *kept_for;    /* it is free, and nobody else of that OS thread may have it */
} Latch;

enum { STATIC_MUTEXES = 2, MOST_MUTEXES = 32 }; /* kinds 0 and 1 are made for each use: fast, and recursive */
enum { CONFIG_MUTEX = 10, CONFIG_GETMUTEX = 11, STATUS_MALLOC_COUNT = 9 };

static __thread Latch *latches_held; /* by the running greenlet */
static __thread int fast_held;       /* by this OS thread, of those that are no latches */

static MutexMethods sqlite_mutex;
static Latch static_mutexes[MOST_MUTEXES];
static int (*sqlite_sleep)(Vfs *, int);
static PyObject *sqlite_nap, *sqlite_parker, *sqlite_wait, *sqlite_wake; /* sleep(seconds), parker(), wait(parker), wake(parker) */
static int sqlite_waits_green, sqlite_has_latches;

/* The running greenlet, which has these, is switched away from. */
static COLD void
mark_latches(Latch *latch)
{
    for (; latch != NULL; latch = latch->next)
        latch->is_suspended = 1;
}

/* Back to it.  HAZARD: by a switch that is not the runtime's another greenlet may have left, and freed, what is listed here. */
static COLD void
list_latches(Latch *mine)
{
    Latch *latch, *next;

    for (latch = mine; latch != NULL; latch = next) {
        next = latch->next;
        latch->is_suspended = 0;
        if (latch->depth > 0 && !latch->is_dead) {
            latch->next = latches_held;
            latches_held = latch;
        }
        else if (latch->is_dead)
            free(latch);
        else
            latch->is_listed = 0;
    }
}

static inline Latch *
suspend_latches(void)
{
    Latch *mine = latches_held;

    if (__builtin_expect(mine != NULL, 0)) {
        mark_latches(mine);
        latches_held = NULL;
    }
    return mine;
}

static inline void
resume_latches(Latch *mine)
{
    if (__builtin_expect(mine != NULL, 0))
        list_latches(mine);
}

/* Whether this OS thread is one of the main interpreter's; any other has no dhagas. */
static int
may_ask_python(void)
{
    PyThreadState *state = PyGILState_GetThisThreadState();
#if PY_VERSION_HEX >= 0x030D0000
    int is_finalizing = Py_IsFinalizing();
#else
    int is_finalizing = _Py_IsFinalizing();
#endif

    return sqlite_waits_green && !is_finalizing && state != NULL && PyThreadState_GetInterpreter(state) == PyInterpreterState_Main();
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
    if (result == NULL && (PyErr_ExceptionMatches(PyExc_RecursionError) || PyErr_ExceptionMatches(PyExc_MemoryError)))
        PyErr_Clear(); /* it goes on without */
    else if (result == NULL)
        PyErr_WriteUnraisable(function);
#if PY_VERSION_HEX >= 0x030C0000
    PyErr_SetRaisedException(before);
#else
    PyErr_Restore(type, value, traceback);
#endif
    return result;
}

/* Whether this OS thread has the interpreter's lock.  HAZARD: `PyGILState_Check` says so always, once there was a sub-interpreter. */
static int
has_interpreter(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    return PyThreadState_GetUnchecked() != NULL;
#elif PY_VERSION_HEX >= 0x030C0000
    return _PyThreadState_UncheckedGet() != NULL;
#else
    PyThreadState *state = PyGILState_GetThisThreadState();

    return state != NULL && _PyThreadState_UncheckedGet() == state;
#endif
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

/* Whether another greenlet of this OS thread has it, or is to have it; `one` waits for it, or nobody. */
static inline int
is_taken_by_another(Latch *latch, Waiting *one)
{
    return ((latch->depth > 0 && latch->is_suspended) || (latch->kept_for != NULL && latch->kept_for != one))
           && pthread_equal(latch->owner, pthread_self());
}

static void
leave_latch_queue(Latch *latch, Waiting *one)
{
    Waiting **at = &latch->first;

    while (*at != NULL && *at != one)
        at = &(*at)->next;
    if (*at != NULL)
        *at = one->next;
    if (latch->kept_for == one)
        latch->kept_for = NULL; /* it goes in now, whatever it was woken by */
}

/* Whether it may be woken and yet unable to return, as it runs others' turns where it waits. */
static int
is_buried(PyObject *parker)
{
    PyObject *buried = PyObject_GetAttrString(parker, "buried");

    PyErr_Clear();
    Py_XDECREF(buried);
    return buried != Py_False;
}

/* Waits until no other dhaga of this OS thread has it.  HAZARD: first in the queue, then the last look, then the wait: whoever
   leaves it meanwhile, in a finalizer that runs in a call here, finds the waiter, and has woken it before it waits.  Who can't wait,
   at the end of the interpreter, goes in as ever. */
static COLD void
await_latch(Latch *latch)
{
    PyGILState_STATE state;
    int waits = 1, waited = 0;

    if (!may_ask_python())
        return;
    state = PyGILState_Ensure();
    while (waits && is_taken_by_another(latch, NULL)) {
        Waiting *one = PyMem_RawCalloc(1, sizeof(Waiting)), **last = &latch->first;

        if (one == NULL)
            break;
        one->parker = call_python(sqlite_parker, NULL);
        if (one->parker != NULL) {
            one->is_urgent = waited && !is_buried(one->parker);
            while (*last != NULL && !waited)
                last = &(*last)->next;
            one->next = *last;
            *last = one;
            waited = 1;
            waits = !is_taken_by_another(latch, one) || ask_python(sqlite_wait, one->parker);
            if (latch->kept_for == one)
                waits = 0; /* its turn */
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
    if (!latch->is_latch)
        fast_held++;
    else if (latch->depth++ == 0) {
        latch->owner = pthread_self();
        latch->is_suspended = 0;
        if (!latch->is_listed) {
            latch->is_listed = 1;
            latch->next = latches_held;
            latches_held = latch;
        }
    }
}

static void
latch_enter(void *given)
{
    Latch *latch = given;

    if (latch->is_latch && __builtin_expect(is_taken_by_another(latch, NULL), 0))
        await_latch(latch);
    if (sqlite_mutex.try(latch->mutex) != 0) {
        if (has_interpreter()) {
            PyThreadState *state = PyEval_SaveThread();

            sqlite_mutex.enter(latch->mutex);
            PyEval_RestoreThread(state);
        }
        else
            sqlite_mutex.enter(latch->mutex);
    }
    got_latch(latch);
}

static int
latch_try(void *given)
{
    Latch *latch = given;
    int result = latch->is_latch && is_taken_by_another(latch, NULL) ? 5 /* SQLITE_BUSY */ : sqlite_mutex.try(latch->mutex);

    if (result == 0)
        got_latch(latch);
    return result;
}

static void
latch_leave(void *given)
{
    Latch *latch = given;
    Waiting *first = NULL;

    if (!latch->is_latch)
        fast_held--;
    else if (--latch->depth == 0) {
        Latch **at = &latches_held;

        while (*at != NULL && *at != latch)
            at = &(*at)->next;
        if (*at != NULL) {
            *at = latch->next;
            latch->is_listed = 0;
        }
        latch->is_suspended = 0;
        first = latch->first;
        if (first != NULL) {
            latch->first = first->next;
            if (first->is_urgent)
                latch->kept_for = first;
        }
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
        latch->is_latch = kind < STATIC_MUTEXES;
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
    if (latch->is_listed)
        latch->is_dead = 1;
    else
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
    Vfs *(*find)(const char *) = (Vfs * (*)(const char *)) dlsym(library, "sqlite3_vfs_find"), *before;
    int (*enlist)(Vfs *, int) = (int (*)(Vfs *, int))dlsym(library, "sqlite3_vfs_register");
    void *some;

    if (find == NULL || enlist == NULL || config == NULL || status == NULL || begin == NULL || end == NULL || is_safe == NULL || get == NULL || give == NULL || !is_safe())
        return 0;
    some = get(16);
    if (some == NULL || status(STATUS_MALLOC_COUNT, &counts, &most, 0) != 0)
        return 0;
    give(some);
    if (counts == 0 || status(STATUS_MALLOC_COUNT, &count, &most, 0) != 0 || count != 0)
        return 0; /* it does not count, or something is in use */
    before = find(NULL);
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
    if (before != NULL && find(NULL) != before)
        enlist(before, 1); /* somebody had another one */
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
