// The addon's functions of cryptography: arguments are checked here, work is done in aead.cc and
// noise.cc.
#pragma once

#include <node_api.h>

namespace causeway {

void add_cryptography(napi_env env, napi_value exports);

}  // namespace causeway
