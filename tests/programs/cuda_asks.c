/* cuda_asks runtime|user [LIBRARY]: asks the driver for functions and a private table (asks.h),
 * itself or by a library. */
/* links: -ldl */
#include <string.h>

#include "tests/programs/asks.h"

int main(int argc, char **argv)
{
    int as_runtime = argc > 1 && !strcmp(argv[1], "runtime");
    int asked;

    if (argc > 2) {
        void *lib = dlopen(argv[2], RTLD_NOW);
        int (*ask)(int) = lib ? (int (*)(int))dlsym(lib, "ask") : NULL;
        if (!ask) {
            fprintf(stderr, "%s: %s\n", argv[2], dlerror());
            return 1;
        }
        asked = ask(as_runtime);
    } else {
        asked = ask_driver(as_runtime);
    }
    printf("asked %d times\n", asked);
    return asked < 0;
}
