/* The device, as INIT brought it. A guest sees one, number 0. */
#include "interposer/cuda/cu.h"
#include "interposer/cuda/cleared.h"

#include <stdio.h>

struct xg_cuda_facts cu_facts;

void cu_device_describe(void)
{
    const struct xg_cuda_snapshot *s = &cu.snap;

    cu_facts = (struct xg_cuda_facts){.driver_version = (int)s->driver_version,
                                      .luid_known = s->luid_known,
                                      .luid_mask = s->node_mask,
                                      .priority_least = s->priority_least,
                                      .priority_greatest = s->priority_greatest,
                                      /* else docs/cuda.md */
                                      .host_functions = s->flags & XG_CUDA_ARENA_REGISTERED};
    memcpy(cu_facts.uuid, s->uuid, sizeof(cu_facts.uuid));
    memcpy(cu_facts.luid, s->luid, sizeof(cu_facts.luid));
    snprintf(cu_facts.name, sizeof(cu_facts.name), "%.*s", (int)sizeof(s->name), s->name);
    snprintf(cu_facts.pci_bus, sizeof(cu_facts.pci_bus), "%.*s", (int)sizeof(s->pci_bus),
             s->pci_bus);
}

uint64_t cu_memory_total(void)
{
    uint64_t limit = xg_channel_memory_limit(cu.channel);
    return limit ? xg_min_u64(limit, cu.snap.total_memory) : cu.snap.total_memory;
}

/* What the device can do and we do not, or what only holds in the worker's process. */
static bool attribute_override(CUdevice_attribute a, int *value)
{
    if (xg_cuda_attribute_cleared(a)) {
        *value = 0;
        return true;
    }
    switch (a) {
    case CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY:
        *value = (cu.snap.flags & XG_CUDA_ARENA_SAME) != 0;
        return true;
    case CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY:
        *value = (cu.snap.flags & XG_CUDA_ARENA_REGISTERED) != 0;
        return true;
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
    case CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED:
    case CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED: *value = 1; return true;
    default: return false;
    }
}

bool cu_attribute(CUdevice_attribute a, int *value)
{
    unsigned i = (unsigned)a;

    if (attribute_override(a, value))
        return true;
    if (i >= XG_CUDA_ATTRIBUTES || !(cu.snap.attribute_known[i / 32] & (1u << (i % 32))))
        return false;
    *value = cu.snap.attribute[i];
    return true;
}
