/* What a person reads when a certificate is not accepted (R30). */
#include "io/tls_verify.h"

#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "io/tls_issue.h"

#define YEAR (365.0 * 24 * 60 * 60)
#define NOW 1700000000.0 /* 2023-11-14 */

struct pair {
    char *certificate, *key;
};

static struct tls_text text(const char *data)
{
    return (struct tls_text){data, data ? strlen(data) : 0};
}

/* What a case changes of a good certificate. */
struct change {
    const char *host, *common_name;
    double not_before, not_after;
    bool ca;
    const char *usage;
};

static struct pair make(const struct pair *issuer, struct change change)
{
    const struct tls_text name = text(change.host);
    const struct tls_subject_field field = {"CN", text(change.common_name)};
    const char *const usage[] = {change.usage, NULL};
    const struct tls_issue issue = {
        .names = &name,
        .name_count = change.host ? 1 : 0,
        .subject = &field,
        .subject_count = change.common_name ? 1 : 0,
        .not_before = change.not_before ? change.not_before : NOW - YEAR,
        .not_after = change.not_after ? change.not_after : NOW + YEAR,
        .key = text("ec"),
        .curve = "P-256",
        .ca = change.ca,
        .usage = change.usage ? usage : NULL,
        .issuer_cert = text(issuer ? issuer->certificate : NULL),
        .issuer_key = text(issuer ? issuer->key : NULL),
    };
    struct pair made = {NULL, NULL};
    struct tls_fault fault;
    CHECK(tls_issue(&issue, &made.certificate, &made.key, &fault));
    return made;
}

static void unmake(struct pair *pair)
{
    free(pair->certificate);
    free(pair->key);
}

static X509 *parse(const struct pair *pair)
{
    struct tls_fault fault;
    X509 *certificate = tls_pem_certificate(pair->certificate,
                                            strlen(pair->certificate), &fault);
    CHECK(certificate);
    return certificate;
}

static char *said;

static int on_verified(int good, X509_STORE_CTX *store)
{
    if (!good && !said)
        said = tls_verify_message(store);
    return good;
}

/* Verifies `leaf` as a server called `host`; the peer sent `middle` too. */
static void check(const struct pair *trusted, const struct pair *middle,
                  const struct pair *leaf, const char *host,
                  const char *expected)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    STACK_OF(X509) *sent = sk_X509_new_null();
    X509 *certificate = parse(leaf);
    if (trusted) {
        X509 *root = parse(trusted);
        X509_STORE_add_cert(store, root);
        X509_free(root);
    }
    if (middle)
        sk_X509_push(sent, parse(middle));
    X509_STORE_CTX_init(context, store, certificate, sent);
    X509_STORE_CTX_set_default(context, "ssl_server");
    X509_STORE_CTX_set_verify_cb(context, on_verified);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(param, (time_t) NOW);
    if (!X509_VERIFY_PARAM_set1_ip_asc(param, host))
        X509_VERIFY_PARAM_set1_host(param, host, 0);
    X509_verify_cert(context);
    const char *got = said ? said : "", *wanted = expected ? expected : "";
    if (strcmp(got, wanted) != 0)
        fprintf(stderr, "expected: %s\ngot: %s\n", wanted, got);
    CHECK(strcmp(got, wanted) == 0);
    free(said);
    said = NULL;
    sk_X509_pop_free(sent, X509_free);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    X509_free(certificate);
}

/* One leaf, signed by `root`, which is trusted. */
static void check_leaf(const struct pair *root, struct change change,
                       const char *host, const char *expected)
{
    struct pair leaf = make(root, change);
    check(root, NULL, &leaf, host, expected);
    unmake(&leaf);
}

static void leaves(const struct pair *root)
{
    check_leaf(root, (struct change){.host = "foo.example.com"},
               "foo.example.com", NULL);
    check_leaf(root, (struct change){.host = "foo.example.com"},
               "bar.example.com",
               "hostname mismatch: certificate is for foo.example.com, not "
               "bar.example.com");
    check_leaf(root, (struct change){.host = "192.0.2.1"}, "192.0.2.2",
               "hostname mismatch: certificate is for 192.0.2.1, not "
               "192.0.2.2");
    check_leaf(root, (struct change){.common_name = "foo"}, "bar",
               "hostname mismatch: certificate is for CN=foo, not bar");
    check_leaf(root, (struct change){0}, "bar",
               "hostname mismatch: certificate is for nobody, not bar");
    check_leaf(root,
               (struct change){
                   .common_name = "foo", .host = "foo", .not_after = NOW - 14},
               "foo",
               "certificate has expired: CN=foo was valid until "
               "2023-11-14 22:13:06 UTC");
    check_leaf(root, (struct change){.host = "foo", .not_before = NOW + 40},
               "foo",
               "certificate is not valid yet: foo is valid from "
               "2023-11-14 22:14:00 UTC");
    check_leaf(
        root, (struct change){.common_name = "foo", .usage = "client"}, "foo",
        "certificate is for another use: CN=foo is for TLS clients only");
}

static void chains(const struct pair *root)
{
    struct pair middle =
        make(root, (struct change){.common_name = "Middle", .ca = true});
    struct pair leaf =
        make(&middle, (struct change){.host = "foo", .common_name = "foo"});
    check(root, &middle, &leaf, "foo", NULL);
    check(root, NULL, &leaf, "foo",
          "unknown issuer: CN=Middle, which signed CN=foo, was not sent by "
          "the peer and is not trusted here");
    check(NULL, &middle, &leaf, "foo",
          "unknown issuer: CN=Root, which signed CN=Middle, was not sent by "
          "the peer and is not trusted here");
    check(NULL, root, &middle, "foo",
          "self-signed certificate in the chain: CN=Root is not trusted here");
    unmake(&leaf);
    unmake(&middle);
}

static void self_signed(void)
{
    struct pair alone =
        make(NULL, (struct change){.host = "foo", .common_name = "foo"});
    check(NULL, NULL, &alone, "foo",
          "self-signed certificate: CN=foo is not trusted here");
    check(&alone, NULL, &alone, "foo", NULL);
    struct pair signed_by_it = make(&alone, (struct change){.host = "bar"});
    check(&alone, NULL, &signed_by_it, "bar",
          "issuer is no certificate authority: CN=foo may not sign others");
    unmake(&signed_by_it);
    unmake(&alone);
}

int main(void)
{
    struct pair root =
        make(NULL, (struct change){.common_name = "Root", .ca = true});
    leaves(&root);
    chains(&root);
    self_signed();
    unmake(&root);
    return failures > 0;
}
