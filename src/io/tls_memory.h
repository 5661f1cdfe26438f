/* OpenSSL's memory. */
#ifndef WEIR_TLS_MEMORY_H
#define WEIR_TLS_MEMORY_H

/* From now on OpenSSL's blocks are kept for its next ones; if it has none yet,
 * else nothing changes. */
void tls_memory_begin(void);

#endif
