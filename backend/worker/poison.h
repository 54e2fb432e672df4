/* Marks our own memory that must not be touched for a while, under AddressSanitizer; otherwise does
 * nothing. */
#ifndef XG_POISON_H
#define XG_POISON_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define XG_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define XG_ASAN 1
#endif

#ifdef XG_ASAN
#include <sanitizer/asan_interface.h>
#define xg_hide(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define xg_show(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#else
#define xg_hide(at, size) ((void)(at), (void)(size))
#define xg_show(at, size) ((void)(at), (void)(size))
#endif

#endif
