/* System calls that wait in the kernel, made by native threads that never take the interpreter's lock.

   Such a thread takes a call from the queue, makes it, puts it among those that are over, and wakes the hub of who waits by its
   descriptor.  The hub collects: it makes ready who waits.  Nothing of Python's is touched by these threads: what a call needs is in
   its `KernelCall`, which its Python object and the threads share; the last of them frees it.

   HAZARD: first among those that are over, then the descriptor; the hub reads that first, and collects then.  Both parts of the
   worker's are done under the lock, so that a hub that closes its descriptor has no call left that would write to it. */

#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

enum { FSYNC, FDATASYNC, SYNC, KINDS_OF_CALLS };
enum { IDLE_SECONDS = 5, STACK_BYTES = 128 * 1024 };

typedef struct Call_ {
    int kind, fd;
    int wakes;          /* the hub's descriptor; -1: nobody waits any more */
    int is_over, is_dropped; /* by the threads; by its Python object */
    int error;
    double seconds;
    PyObject *waiter;   /* for the inbox; only with the interpreter's lock */
    struct Call_ *next;
} KernelCall;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t more;
    KernelCall *first, *last; /* to be made */
    KernelCall *running, *over;
    int threads, idle, queued, most;
    unsigned era; /* those that idle when it changes are to end */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

#define KERNEL_CALL "dhagapatch._speedups.call_in_kernel"

static double
seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void
make_call(KernelCall *call)
{
    double began = seconds_now();
    int result;

    do {
        switch (call->kind) {
        case FSYNC: result = fsync(call->fd); break;
        case FDATASYNC:
#ifdef __APPLE__
            result = fsync(call->fd);
#else
            result = fdatasync(call->fd);
#endif
            break;
        default: sync(); result = 0;
        }
    } while (result < 0 && errno == EINTR); /* all signals are blocked here */
    call->error = result < 0 ? errno : 0;
    call->seconds = seconds_now() - began;
}

/* It is over; with the pool's lock. */
static void
end_call(KernelCall *call)
{
    static const unsigned long long one = 1;
    KernelCall **at = &pool.running;

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    call->is_over = 1;
    call->next = pool.over;
    pool.over = call;
    if (call->wakes >= 0 && write(call->wakes, &one, sizeof(one)) < 0)
        return; /* it is readable already */
}

static void *
work(void *unused)
{
    pthread_mutex_lock(&pool.lock);
    while (1) {
        KernelCall *call = pool.first;

        if (call == NULL) {
            struct timespec until;
            unsigned era = pool.era;
            int late;

            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_sec += IDLE_SECONDS;
            pool.idle++;
            late = pthread_cond_timedwait(&pool.more, &pool.lock, &until);
            pool.idle--;
            if ((late || era != pool.era) && pool.first == NULL)
                break;
            continue;
        }
        pool.first = call->next;
        if (pool.first == NULL)
            pool.last = NULL;
        pool.queued--;
        call->next = pool.running;
        pool.running = call;
        pthread_mutex_unlock(&pool.lock);
        make_call(call);
        pthread_mutex_lock(&pool.lock);
        end_call(call);
    }
    pool.threads--;
    pthread_mutex_unlock(&pool.lock);
    return NULL;
}

/* Another thread; with the pool's lock.  0, or the number of the error. */
static int
hire(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    int error;

    if ((error = pthread_attr_init(&attributes)) != 0)
        return error;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(&thread, &attributes, work, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (error == 0)
        pool.threads++;
    return error;
}

static void
drop_call(PyObject *capsule)
{
    KernelCall *call = PyCapsule_GetPointer(capsule, KERNEL_CALL);
    int is_last;

    pthread_mutex_lock(&pool.lock);
    is_last = call->is_over == 2; /* and collected */
    call->is_dropped = 1;
    pthread_mutex_unlock(&pool.lock);
    if (is_last)
        PyMem_RawFree(call);
}

/* begin_call(kind, fd, wakes, waiter, most) -> what `end_of_call` is asked for; OSError if no thread can be had. */
static PyObject *
begin_call(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    KernelCall *call;
    PyObject *capsule;
    int error = 0;

    if (nargs != 5)
        return PyErr_Format(PyExc_TypeError, "begin_call(kind, fd, wakes, waiter, most)");
    call = PyMem_RawCalloc(1, sizeof(KernelCall));
    if (call == NULL)
        return PyErr_NoMemory();
    call->kind = (int)PyLong_AsLong(args[0]);
    call->fd = (int)PyLong_AsLong(args[1]);
    call->wakes = (int)PyLong_AsLong(args[2]);
    pool.most = (int)PyLong_AsLong(args[4]);
    if (!PyErr_Occurred() && (call->kind < 0 || call->kind >= KINDS_OF_CALLS))
        PyErr_Format(PyExc_ValueError, "there is no such call");
    capsule = PyErr_Occurred() ? NULL : PyCapsule_New(call, KERNEL_CALL, drop_call);
    if (capsule == NULL) {
        PyMem_RawFree(call);
        return NULL;
    }
    pthread_mutex_lock(&pool.lock);
    if (pool.idle <= pool.queued && (pool.threads < pool.most || pool.threads == 0))
        error = hire();
    if (pool.threads > 0) { /* if there is one, it does it in its turn */
        error = 0;
        call->waiter = Py_NewRef(args[3]);
        if (pool.last == NULL)
            pool.first = call;
        else
            pool.last->next = call;
        pool.last = call;
        pool.queued++;
        pthread_cond_signal(&pool.more);
    }
    else
        call->is_over = 2;
    pthread_mutex_unlock(&pool.lock);
    if (error != 0) {
        Py_DECREF(capsule);
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return capsule;
}

/* end_of_call(call) -> (errno, seconds), or None: it is not over. */
static PyObject *
end_of_call(PyObject *module, PyObject *capsule)
{
    KernelCall *call = PyCapsule_GetPointer(capsule, KERNEL_CALL);
    int is_over;

    if (call == NULL)
        return NULL;
    pthread_mutex_lock(&pool.lock);
    is_over = call->is_over;
    pthread_mutex_unlock(&pool.lock);
    if (!is_over)
        Py_RETURN_NONE;
    return Py_BuildValue("id", call->error, call->seconds);
}

/* Takes out of a list those of this descriptor, and of none; with the pool's lock. */
static KernelCall *
take_calls(KernelCall **list, int wakes)
{
    KernelCall *taken = NULL, *call;

    while ((call = *list) != NULL) {
        if (call->wakes == wakes || call->wakes < 0) {
            *list = call->next;
            call->next = taken;
            taken = call;
        }
        else
            list = &call->next;
    }
    return taken;
}

/* collect_calls(wakes, inbox): who waits for those that are over goes into the inbox. */
static PyObject *
collect_calls(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    KernelCall *taken, *next;
    int wakes = nargs == 2 ? (int)PyLong_AsLong(args[0]) : -1, failed = 0;

    if (nargs != 2)
        return PyErr_Format(PyExc_TypeError, "collect_calls(wakes, inbox)");
    if (wakes == -1 && PyErr_Occurred())
        return NULL;
    if (pool.over == NULL) /* a look without the lock: what comes later writes to the descriptor after this */
        Py_RETURN_NONE;
    pthread_mutex_lock(&pool.lock);
    taken = take_calls(&pool.over, wakes);
    pthread_mutex_unlock(&pool.lock);
    for (; taken != NULL; taken = next) {
        PyObject *waiter = taken->waiter, *done;
        int is_last;

        next = taken->next;
        taken->waiter = NULL;
        done = taken->wakes < 0 ? Py_NewRef(Py_None) : PyObject_CallMethodOneArg(args[1], str_append, waiter);
        failed |= done == NULL;
        Py_XDECREF(done);
        pthread_mutex_lock(&pool.lock);
        taken->is_over = 2;
        is_last = taken->is_dropped;
        pthread_mutex_unlock(&pool.lock);
        if (is_last)
            PyMem_RawFree(taken);
        Py_XDECREF(waiter); /* HAZARD: last, as it may have a finalizer */
    }
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static void
forget_in(KernelCall *call, int wakes)
{
    for (; call != NULL; call = call->next)
        if (call->wakes == wakes)
            call->wakes = -1;
}

/* forget_calls(wakes): the hub closes this descriptor. */
static PyObject *
forget_calls(PyObject *module, PyObject *number)
{
    int wakes = (int)PyLong_AsLong(number);

    if (wakes == -1 && PyErr_Occurred())
        return NULL;
    pthread_mutex_lock(&pool.lock);
    forget_in(pool.first, wakes);
    forget_in(pool.running, wakes);
    forget_in(pool.over, wakes);
    pthread_mutex_unlock(&pool.lock);
    Py_RETURN_NONE;
}

/* pool_after_fork(): in the child there are no such threads; what they held is left. */
static PyObject *
pool_after_fork(PyObject *module, PyObject *ignored)
{
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.more, NULL);
    pool.first = pool.last = pool.running = pool.over = NULL;
    pool.threads = pool.idle = pool.queued = 0;
    Py_RETURN_NONE;
}

/* pool_end_idle() -> how many are not in a call: those that idle are told to end, the others will idle soon. */
static PyObject *
pool_end_idle(PyObject *module, PyObject *ignored)
{
    int others;

    pthread_mutex_lock(&pool.lock);
    others = pool.threads;
    for (KernelCall *call = pool.running; call != NULL; call = call->next)
        others--;
    pool.era++;
    pthread_cond_broadcast(&pool.more);
    pthread_mutex_unlock(&pool.lock);
    return PyLong_FromLong(others);
}

/* pool_figures() -> threads, idle ones, calls that queue. */
static PyObject *
pool_figures(PyObject *module, PyObject *ignored)
{
    return Py_BuildValue("iii", pool.threads, pool.idle, pool.queued);
}
