/* cuda_visible: prints what cuInit answers, and the UUID of each device as nvidia-smi would write
 * it. Twice: the second cuInit says the same. */
/* links: obj/libcuda_common.a -lcuda -lzstd -llz4 */
#include "cuda/identity.h"
#include "tests/programs/cuda_common.h"

int main(void)
{
    char text[XG_CUDA_UUID_TEXT];
    CUresult r = cuInit(0);
    int count = 0;
    CUuuid uuid;

    EXPECT(cuInit(0), r);
    EXPECT(cuDeviceGetCount(&count), r == CUDA_SUCCESS ? r : CUDA_ERROR_NOT_INITIALIZED);
    printf("%s %d\n", error_name(r), count);
    for (int i = 0; i < count; i++) {
        CHECK(cuDeviceGetUuid_v2(&uuid, i));
        MUST(!memchr(uuid.bytes, 0, sizeof(uuid.bytes)));
        xg_cuda_uuid_text((const uint8_t *)uuid.bytes, text);
        puts(text);
    }
    return 0;
}
