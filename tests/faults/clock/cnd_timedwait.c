/* The Kafka client waits by C11's condition variables, to which libfaketime is deaf: with a clock set on by an hour
 * each of its waits would last an hour, and with one set back none would last at all. In glibc they are POSIX's under
 * another name, and those libfaketime knows. */
#include <errno.h>
#include <pthread.h>
#include <threads.h>

int cnd_timedwait(cnd_t *condition, mtx_t *mutex, const struct timespec *until)
{
    int result = pthread_cond_timedwait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex, until);
    return result == 0 ? thrd_success : result == ETIMEDOUT ? thrd_timedout : thrd_error;
}
