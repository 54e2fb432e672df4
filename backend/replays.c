/* The APIs that xengpud's workers serve. */
#include "backend/worker.h"

const struct xg_replay *const xg_worker_replays[XG_API_COUNT] = {
    [XG_API_GL] = &xg_replay_gl,
    [XG_API_WSI] = &xg_replay_wsi,
    [XG_API_CUDA] = &xg_replay_cuda,
};
