/* weir.tls.certificates, and what makes certificates below
 * weir.tls.self_signed (lua/weir/certificate.lua). */
#include "lua/lua_certificate.h"

#include <stdlib.h>

#include "io/tls_certificate.h"
#include "io/tls_issue.h"
#include "lua/arguments.h"
#include "lua/modules.h"
#include "lua/task.h"

/* --- what a certificate says ---------------------------------------------- */

static void push_text(void *context, const char *field, const char *data,
                      size_t size)
{
    lua_pushlstring(context, data, size);
    lua_setfield(context, -2, field);
}

static void push_number(void *context, const char *field, double value)
{
    lua_pushnumber(context, value);
    lua_setfield(context, -2, field);
}

static void push_flag(void *context, const char *field, bool value)
{
    lua_pushboolean(context, value);
    lua_setfield(context, -2, field);
}

/* The table in `field`, made on first use. */
static void push_table(lua_State *L, const char *field)
{
    lua_getfield(L, -1, field);
    if (!lua_isnil(L, -1))
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, field);
}

static void push_item(void *context, const char *field, const char *data,
                      size_t size)
{
    lua_State *L = context;
    push_table(L, field);
    lua_pushlstring(L, data, size);
    lua_rawseti(L, -2, (int) lua_objlen(L, -2) + 1);
    lua_pop(L, 1);
}

static void push_entry(void *context, const char *field, const char *key,
                       const char *data, size_t size)
{
    lua_State *L = context;
    push_table(L, field);
    lua_pushlstring(L, data, size);
    lua_setfield(L, -2, key);
    lua_pop(L, 1);
}

void lua_certificate_push(lua_State *L, struct x509_st *certificate)
{
    static const char *const tables[] = {"sans", "subject_fields",
                                         "issuer_fields", NULL};
    const struct tls_certificate_visitor visitor = {
        L, push_text, push_number, push_flag, push_item, push_entry};
    lua_createtable(L, 0, 16);
    for (int i = 0; tables[i]; i++) {
        push_table(L, tables[i]);
        lua_pop(L, 1);
    }
    tls_certificate_visit(certificate, &visitor);
}

static void push_next(void *context, struct x509_st *certificate)
{
    lua_State *L = context;
    lua_certificate_push(L, certificate);
    lua_rawseti(L, -2, (int) lua_objlen(L, -2) + 1);
}

/* The fault's message is freed. */
static int push_fault(lua_State *L, struct tls_fault *fault)
{
    lua_pushstring(L, fault->message);
    free(fault->message);
    return push_failure(L, fault->error, lua_tostring(L, -1));
}

/* weir.tls.certificates(path_or_pem) → list of tables */
static int tls_certificates(lua_State *L)
{
    struct tls_fault fault;
    size_t size;
    argument_type(L, 1, LUA_TSTRING);
    const char *source = lua_tolstring(L, 1, &size);
    lua_newtable(L);
    if (tls_pem_each_certificate(source, size, push_next, L, &fault))
        return 1;
    return push_fault(L, &fault);
}

/* --- making one ----------------------------------------------------------- */

/* The table at 1 keeps the strings alive. */
static struct tls_text get_text(lua_State *L, const char *field)
{
    struct tls_text text;
    lua_getfield(L, 1, field);
    text.data = lua_tolstring(L, -1, &text.size);
    lua_pop(L, 1);
    return text;
}

static double get_number(lua_State *L, const char *field)
{
    lua_getfield(L, 1, field);
    double value = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value;
}

static struct tls_text element(lua_State *L, int index, size_t at)
{
    struct tls_text text;
    lua_rawgeti(L, index, (int) at + 1);
    text.data = lua_tolstring(L, -1, &text.size);
    lua_pop(L, 1);
    return text;
}

/* Pushes the list in `field` (its index is returned) and memory for one item
 * of `size` bytes for each element and one more. */
static int push_list(lua_State *L, const char *field, size_t size,
                     size_t *count, void **items)
{
    lua_getfield(L, 1, field);
    int index = lua_gettop(L);
    *count = lua_istable(L, index) ? lua_objlen(L, index) : 0;
    *items = lua_newuserdata(L, (*count + 1) * size);
    return index;
}

static void get_names(lua_State *L, struct tls_issue *issue)
{
    void *items;
    int list =
        push_list(L, "names", sizeof *issue->names, &issue->name_count, &items);
    struct tls_text *names = items;
    for (size_t i = 0; i < issue->name_count; i++)
        names[i] = element(L, list, i);
    issue->names = names;
}

static void get_subject(lua_State *L, struct tls_issue *issue)
{
    void *items;
    int list = push_list(L, "subject", sizeof *issue->subject,
                         &issue->subject_count, &items);
    struct tls_subject_field *fields = items;
    for (size_t i = 0; i < issue->subject_count; i++) {
        lua_rawgeti(L, list, (int) i + 1);
        fields[i].type = element(L, lua_gettop(L), 0).data;
        fields[i].value = element(L, lua_gettop(L), 1);
        lua_pop(L, 1);
    }
    issue->subject = fields;
}

static void get_usage(lua_State *L, struct tls_issue *issue)
{
    void *items;
    size_t count;
    int list = push_list(L, "usage", sizeof *issue->usage, &count, &items);
    const char **usage = items;
    for (size_t i = 0; i < count; i++)
        usage[i] = element(L, list, i).data;
    usage[count] = NULL;
    issue->usage = lua_istable(L, list) ? usage : NULL;
}

/* core.issue(plan) → certificate, key: PEM texts. The plan's types are right,
 * lua/weir/certificate.lua has checked them. */
static int core_issue(lua_State *L)
{
    struct tls_issue issue = {
        .not_before = get_number(L, "not_before"),
        .not_after = get_number(L, "not_after"),
        .key = get_text(L, "key"),
        .bits = (unsigned) get_number(L, "bits"),
        .curve = get_text(L, "curve").data,
        .issuer_cert = get_text(L, "issuer_cert"),
        .issuer_key = get_text(L, "issuer_key"),
    };
    struct tls_fault fault;
    char *certificate, *key;
    lua_getfield(L, 1, "ca");
    issue.ca = lua_toboolean(L, -1);
    get_names(L, &issue);
    get_subject(L, &issue);
    get_usage(L, &issue);
    if (!tls_issue(&issue, &certificate, &key, &fault))
        return push_fault(L, &fault);
    lua_pushstring(L, certificate);
    lua_pushstring(L, key);
    free(certificate);
    free(key);
    return 2;
}

/* Adds to the table weir.tls, which others add to as well. */
void lua_certificate_open(lua_State *L)
{
    lua_pushcfunction(L, core_issue);
    lua_setfield(L, -3, "issue");
    push_table(L, "tls");
    lua_pushcfunction(L, tls_certificates);
    lua_setfield(L, -2, "certificates");
    lua_pop(L, 1);
}
