/* What the CUDA runtime test programs share: a failed call or check says where and ends the
 * program. */
#ifndef XG_TEST_RT_H
#define XG_TEST_RT_H

#include <cstdio>
#include <cstdlib>
#include <cuda_runtime.h>

#define CHECK(call)                                                                                \
    do {                                                                                           \
        cudaError_t e_ = (call);                                                                   \
        if (e_ != cudaSuccess) {                                                                   \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorName(e_));   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define EXPECT(cond)                                                                               \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #cond);                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The call must fail with this error, which is then the last error, once. */
#define FAILS(error, call)                                                                         \
    do {                                                                                           \
        cudaError_t e_ = (call);                                                                   \
        if (e_ != (error)) {                                                                       \
            fprintf(stderr, "%s:%d: %s: %s, expected %s\n", __FILE__, __LINE__, #call,             \
                    cudaGetErrorName(e_), cudaGetErrorName(error));                                \
            exit(1);                                                                               \
        }                                                                                          \
        EXPECT(cudaGetLastError() == (error));                                                     \
        EXPECT(cudaGetLastError() == cudaSuccess);                                                 \
    } while (0)

/* Reproducible numbers. */
static inline unsigned int rt_random(unsigned int *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

#endif
