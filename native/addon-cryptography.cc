#include "addon-cryptography.h"

#include <memory>
#include <stdexcept>

#include "aead.h"
#include "noise.h"
#include "objects.h"

namespace causeway {
namespace {

// createKeys(capacity, evp = false)
napi_value create_keys(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info, 1);
  const uint32_t capacity = a.natural(0);
  require(env, capacity > 0 && capacity <= 1u << 20, "between 1 and 1,048,576 slots");
  return give(env, std::make_unique<BoundKeys>(capacity, a.count > 1 && a.boolean(1)));
}

// setKeys(keys, slot, sealing, opening) → boolean
napi_value set_keys(napi_env env, napi_callback_info info) {
  Arguments<4> a(env, info);
  BoundKeys* keys = take<BoundKeys>(env, a.values[0]);
  return boolean(env, keys->table.set(a.natural(1), a.key(2), a.key(3)));
}

napi_value clear_keys(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  take<BoundKeys>(env, a.values[0])->table.clear(a.natural(1));
  return undefined(env);
}

// sealVector(keys, outbound, length) → entries refused
napi_value seal_vector(napi_env env, napi_callback_info info) {
  Arguments<3> a(env, info);
  BoundKeys* keys = take<BoundKeys>(env, a.values[0]);
  BoundOutbound* outbound = take<BoundOutbound>(env, a.values[1]);
  return number(env, keys->table.seal(outbound->vector, a.natural(2)));
}

napi_value open_vector(napi_env env, napi_callback_info info) {
  Arguments<3> a(env, info);
  BoundKeys* keys = take<BoundKeys>(env, a.values[0]);
  BoundInbound* inbound = take<BoundInbound>(env, a.values[1]);
  keys->table.open(inbound->vector, a.natural(2));
  return undefined(env);
}

// createNoise(area: Uint8Array(416))
napi_value create_noise(napi_env env, napi_callback_info info) {
  Arguments<1> a(env, info);
  const auto area = a.bytes_of(0, Noise::kAreaSize);
  auto bound = std::make_unique<BoundNoise>();
  bound->functions = Noise::make(area.data);
  if (!bound->functions) throw std::runtime_error("this OpenSSL lacks a function of the handshake");
  bound->keep(env, a.values[0]);
  return give(env, std::move(bound));
}

// noiseHash(noise, inputSize), noiseMac(noise, inputSize) → boolean
template <bool (Noise::*function)(size_t)>
napi_value noise_digest(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  Noise& noise = *take<BoundNoise>(env, a.values[0])->functions;
  return boolean(env, (noise.*function)(a.natural(1)));
}

// noiseKdf(noise, inputSize, outputs) → boolean
napi_value noise_kdf(napi_env env, napi_callback_info info) {
  Arguments<3> a(env, info);
  Noise& noise = *take<BoundNoise>(env, a.values[0])->functions;
  return boolean(env, noise.kdf(a.natural(1), a.natural(2)));
}

// noiseX25519(noise), noiseX25519Base(noise) → boolean
template <bool (Noise::*function)()>
napi_value noise_curve(napi_env env, napi_callback_info info) {
  Arguments<1> a(env, info);
  Noise& noise = *take<BoundNoise>(env, a.values[0])->functions;
  return boolean(env, (noise.*function)());
}

// noiseSeal(noise, text, authenticated), noiseOpen(noise, sealed, authenticated) → boolean
template <bool (Noise::*function)(size_t, size_t)>
napi_value noise_cipher(napi_env env, napi_callback_info info) {
  Arguments<3> a(env, info);
  Noise& noise = *take<BoundNoise>(env, a.values[0])->functions;
  return boolean(env, (noise.*function)(a.natural(1), a.natural(2)));
}

}  // namespace

void add_cryptography(napi_env env, napi_value exports) {
  add<create_keys>(env, exports, "createKeys");
  add<set_keys>(env, exports, "setKeys");
  add<clear_keys>(env, exports, "clearKeys");
  add<seal_vector>(env, exports, "sealVector");
  add<open_vector>(env, exports, "openVector");
  add<create_noise>(env, exports, "createNoise");
  add<noise_digest<&Noise::hash>>(env, exports, "noiseHash");
  add<noise_digest<&Noise::mac>>(env, exports, "noiseMac");
  add<noise_kdf>(env, exports, "noiseKdf");
  add<noise_curve<&Noise::x25519>>(env, exports, "noiseX25519");
  add<noise_curve<&Noise::x25519_base>>(env, exports, "noiseX25519Base");
  add<noise_cipher<&Noise::seal>>(env, exports, "noiseSeal");
  add<noise_cipher<&Noise::open>>(env, exports, "noiseOpen");
}

}  // namespace causeway
