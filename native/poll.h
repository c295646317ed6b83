// Readiness of descriptors, told on the event loop of the environment that asks.
#pragma once

#include <node_api.h>

namespace causeway {

// createPoll(fd, callback) → handle; the callback gets a mask of 1 readable | 2 writable, or -errno
napi_value create_poll(napi_env env, napi_callback_info info);
// setPoll(handle, events); 0 stops it
napi_value set_poll(napi_env env, napi_callback_info info);
// closePoll(handle)
napi_value stop_poll(napi_env env, napi_callback_info info);

}  // namespace causeway
