/* What the static expat of Debian 12 asks of glibc 2.36, for a shared one that an older glibc can
 * load; see bundle.py. */
#include <stdlib.h>
#include <sys/random.h>

__attribute__((visibility("hidden"))) void arc4random_buf(void *to, size_t size);

void arc4random_buf(void *to, size_t size)
{
    for (char *p = to; size;) {
        ssize_t n = getrandom(p, size, 0);
        if (n <= 0)
            abort();
        p += n;
        size -= (size_t)n;
    }
}
