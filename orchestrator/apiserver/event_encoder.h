// EventEncoder: watch events as bytes, in the form one watcher accepted.
#pragma once

#include <string>

#include "orchestrator/apiserver/answers.h"
#include "orchestrator/apiserver/watch_cache.h"

namespace lab::apiserver {

class EventEncoder {
 public:
  explicit EventEncoder(View view) : view_(std::move(view)) {}

  std::string_view content_type() const;
  std::string added(const CachedObject& object);
  // "" when the watcher's selection does not concern the event. An object that leaves the selection is a deletion.
  std::string event(const CacheEvent& event, const Selection& selection);
  std::string bookmark(store::Revision revision, bool initial_events_end);
  std::string error(const Error& error);

 private:
  std::string encode(std::string_view type, const CachedObject& object);
  std::string encode_value(std::string_view type, json::Value object);

  View view_;
  bool columns_sent_ = false;
};

}  // namespace lab::apiserver
