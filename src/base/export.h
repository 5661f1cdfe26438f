/* Everything in the binary is hidden from shared objects, except for what
 * Lua code calls through FFI. */
#ifndef WEIR_EXPORT_H
#define WEIR_EXPORT_H

#define WEIR_EXPORT __attribute__((visibility("default"), used))

#endif
