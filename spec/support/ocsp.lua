-- OCSP responses: real ones by openssl's responder, and ones of other days,
-- which it does not make, by the library that weir itself uses.

local ffi = require("ffi")
local support = require("spec.support.tls_peers")

local M = {}

ffi.cdef [[
  void *BIO_new_mem_buf(const void *data, int size);
  int BIO_free(void *);
  void *PEM_read_bio_X509(void *bio, void *, void *, void *);
  void *PEM_read_bio_PrivateKey(void *bio, void *, void *, void *);
  void X509_free(void *);
  void EVP_PKEY_free(void *);
  const void *EVP_sha256(void);
  void *ASN1_TIME_adj(void *, long now, int days, long seconds);
  void ASN1_STRING_free(void *);
  void *OCSP_BASICRESP_new(void);
  void OCSP_BASICRESP_free(void *);
  void *OCSP_cert_to_id(const void *digest, const void *subject,
    const void *issuer);
  void OCSP_CERTID_free(void *);
  void *OCSP_basic_add1_status(void *, void *id, int status,
    int reason, void *revoked, void *from, void *until);
  int OCSP_basic_sign(void *, void *signer, void *key,
    const void *digest, void *certificates, unsigned long flags);
  void *OCSP_response_create(int status, void *basic);
  void OCSP_RESPONSE_free(void *);
  int i2d_OCSP_RESPONSE(void *, unsigned char **out);
]]

local C = ffi.load("libcrypto.so.3")

local function read(pem, reader, free)
  local bio = C.BIO_new_mem_buf(pem, #pem)
  local object = ffi.gc(reader(bio, nil, nil, nil), free)
  C.BIO_free(bio)
  assert(object ~= nil)
  return object
end

local function encode(response)
  local size = C.i2d_OCSP_RESPONSE(response, nil)
  local bytes = ffi.new("unsigned char[?]", size)
  C.i2d_OCSP_RESPONSE(response, ffi.new("unsigned char *[1]", bytes))
  C.OCSP_RESPONSE_free(response)
  return ffi.string(bytes, size)
end

--- A response (DER) that `cert` is good, signed by `issuer` (both PEM texts),
--- valid `from` and `until_when`, in seconds from now; the latter may be nil.
function M.response(cert, issuer, issuer_key, from, until_when)
  local function time(seconds)
    return seconds and ffi.gc(C.ASN1_TIME_adj(nil, weir.time(), 0, seconds), C.ASN1_STRING_free)
  end
  local signer = read(issuer, C.PEM_read_bio_X509, C.X509_free)
  local key = read(issuer_key, C.PEM_read_bio_PrivateKey, C.EVP_PKEY_free)
  local subject = read(cert, C.PEM_read_bio_X509, C.X509_free)
  local basic = C.OCSP_BASICRESP_new()
  local id = C.OCSP_cert_to_id(nil, subject, signer)
  C.OCSP_basic_add1_status(basic, id, 0, 0, nil, time(from), time(until_when))
  assert(C.OCSP_basic_sign(basic, signer, key, C.EVP_sha256(), nil, 0) == 1)
  local bytes = encode(C.OCSP_response_create(0, basic))
  C.OCSP_CERTID_free(id)
  C.OCSP_BASICRESP_free(basic)
  return bytes
end

--- A response that says nothing but "try later".
function M.try_later()
  return encode(C.OCSP_response_create(3, nil))
end

local function utc(format, time) return os.date("!" .. format, time) end

--- What openssl's responder, in a folder of support.folder's, says about the
--- certificate in the PEM text: `state` is "V" (valid), "R" (revoked) or nil
--- (unknown); `signer` the responder's files, root.pem and .key by default.
--- Returns the path of the response.
function M.respond(folder, cert, state, signer)
  local info = weir.tls.certificates(cert)[1]
  local function path(name) return folder .. "/" .. name end
  local function write(name, data)
    local file = assert(io.open(path(name), "wb"))
    file:write(data)
    file:close()
  end
  write("about.pem", cert)
  write("index.txt.attr", "")
  local revoked = utc("%y%m%d%H%M%SZ", weir.time() - 3600) .. ",keyCompromise"
  write("index.txt", not state and "" or table.concat({ state,
    utc("%y%m%d%H%M%SZ", info.not_after), state == "R" and revoked or "",
    info.serial, "unknown", "/CN=x" }, "\t") .. "\n")
  signer = signer or "root"
  local response = path(("%s-%s.der"):format(state or "none", signer))
  local output, status = support.run({ "sh", "-c", ([[
    openssl ocsp -issuer root.pem -cert about.pem -reqout request.der &&
    openssl ocsp -index index.txt -CA root.pem -rsigner %s.pem -rkey %s.key \
      -reqin request.der -ndays 1 -respout %s]]):format(signer, signer, response) },
    nil, nil, folder)
  assert(status == 0, output)
  return response
end

return M
