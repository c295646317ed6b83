#include "poll.h"

#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

#include <memory>

#include "napi-values.h"

namespace causeway {

namespace {

// Readiness of a descriptor on the loop of the environment that made it. The descriptor stays the
// caller's; the poll watches a duplicate, because libuv ends the process when it comes upon a closed
// one. Freed in three steps, in whatever order they come: the libuv handle is closed, JavaScript's
// external is collected, the environment ends.
struct Poll {
  uv_poll_t handle;
  int fd = -1;
  napi_env env;
  napi_ref callback = nullptr;
  napi_async_context context = nullptr;
  napi_async_cleanup_hook_handle cleanup = nullptr;
  bool closing = false;
  bool collected = false;
  bool closed = false;

  void release_if_done() {
    if (collected && closed) delete this;
  }
};

constexpr napi_type_tag kPollTag = {0x6361757365776179ull, 0x706f6c6cull};

Poll* take_poll(napi_env env, napi_value value) {
  bool right = false;
  void* data = nullptr;
  napi_valuetype type;
  require(env, napi_typeof(env, value, &type) == napi_ok && type == napi_external, "wrong handle");
  napi_check_object_type_tag(env, value, &kPollTag, &right);
  require(env, right && napi_get_value_external(env, value, &data) == napi_ok, "wrong handle");
  return static_cast<Poll*>(data);
}

void on_ready(uv_poll_t* handle, int status, int events) {
  Poll* poll = static_cast<Poll*>(handle->data);
  napi_env env = poll->env;
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value callback, receiver, result;
  napi_value arguments[1];
  napi_get_reference_value(env, poll->callback, &callback);
  napi_get_global(env, &receiver);
  napi_create_int32(env, status < 0 ? status : events, &arguments[0]);
  if (napi_make_callback(env, poll->context, receiver, callback, 1, arguments, &result) ==
      napi_pending_exception) {
    napi_value error;
    napi_get_and_clear_last_exception(env, &error);
    napi_fatal_exception(env, error);
  }
  napi_close_handle_scope(env, scope);
}

void close_poll(Poll* poll) {
  if (poll->closing) return;
  poll->closing = true;
  uv_poll_stop(&poll->handle);
  if (poll->callback != nullptr) napi_delete_reference(poll->env, poll->callback);
  if (poll->context != nullptr) napi_async_destroy(poll->env, poll->context);
  poll->callback = nullptr;
  poll->context = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&poll->handle), [](uv_handle_t* handle) {
    Poll* closed = static_cast<Poll*>(handle->data);
    closed->closed = true;
    if (closed->cleanup != nullptr) napi_remove_async_cleanup_hook(closed->cleanup);
    closed->cleanup = nullptr;
    closed->release_if_done();
  });
  // libuv has let go of it, and a socket's port should be free again at once.
  close(poll->fd);
}

}  // namespace

napi_value create_poll(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  napi_valuetype type;
  require(env, napi_typeof(env, a.values[1], &type) == napi_ok && type == napi_function,
          "expected a function");
  uv_loop_t* loop = nullptr;
  require(env, napi_get_uv_event_loop(env, &loop) == napi_ok, "no event loop");
  auto poll = std::make_unique<Poll>();
  poll->env = env;
  poll->fd = fcntl(a.integer(0), F_DUPFD_CLOEXEC, 0);
  require(env, poll->fd >= 0, "the descriptor cannot be polled");
  if (uv_poll_init(loop, &poll->handle, poll->fd) != 0) {
    close(poll->fd);
    require(env, false, "the descriptor cannot be polled");
  }
  Poll* raw = poll.release();  // from here on freed by close_poll and the finalizer
  raw->handle.data = raw;
  napi_value name, external;
  napi_create_string_utf8(env, "causeway:poll", NAPI_AUTO_LENGTH, &name);
  napi_create_reference(env, a.values[1], 1, &raw->callback);
  napi_async_init(env, nullptr, name, &raw->context);
  napi_add_async_cleanup_hook(
      env, [](napi_async_cleanup_hook_handle, void* data) { close_poll(static_cast<Poll*>(data)); },
      raw, &raw->cleanup);
  const napi_status made = napi_create_external(
      env, raw,
      [](napi_env, void* data, void*) {
        Poll* poll = static_cast<Poll*>(data);
        poll->collected = true;
        close_poll(poll);
        poll->release_if_done();
      },
      nullptr, &external);
  if (made != napi_ok) {
    raw->collected = true;
    close_poll(raw);
    require(env, false, "no memory");
  }
  napi_type_tag_object(env, external, &kPollTag);
  return external;
}

napi_value set_poll(napi_env env, napi_callback_info info) {
  Arguments<2> a(env, info);
  Poll* poll = take_poll(env, a.values[0]);
  const int32_t events = a.integer(1);
  if (poll->closing) return undefined(env);
  if (events == 0) {
    uv_poll_stop(&poll->handle);
  } else {
    uv_poll_start(&poll->handle, events & (UV_READABLE | UV_WRITABLE), on_ready);
  }
  return undefined(env);
}

napi_value stop_poll(napi_env env, napi_callback_info info) {
  Arguments<1> a(env, info);
  close_poll(take_poll(env, a.values[0]));
  return undefined(env);
}

}  // namespace causeway
