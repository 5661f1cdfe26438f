/* Certificates in Lua. */
#ifndef WEIR_LUA_CERTIFICATE_H
#define WEIR_LUA_CERTIFICATE_H

#include <lua.h>

struct x509_st;

/* Pushes a table: what the certificate says, and itself as PEM. */
void lua_certificate_push(lua_State *L, struct x509_st *certificate);

#endif
