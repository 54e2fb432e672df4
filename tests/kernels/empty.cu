#include "cuda_mini.h"

extern "C" __global__ void empty()
{
}
