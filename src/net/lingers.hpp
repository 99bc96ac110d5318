#pragma once

#include <ferry/stream.hpp>

#include <memory>

namespace ferry::net {

/// What some streams do besides: they outlive close() for a while, so that what they have said arrives. Found by
/// dynamic_cast.
class lingers {
 public:
  /// Keeps `place`, a place among the connections of a listener, until nothing of the connection is left. At most once.
  virtual void keep_place(std::shared_ptr<void> place) = 0;

 protected:
  ~lingers() = default;
};

/// The same for any stream; one that ends with close() keeps nothing.
inline void keep_place(stream& one, std::shared_ptr<void> place) {
  if (auto* const each = dynamic_cast<lingers*>(&one)) each->keep_place(std::move(place));
}

}  // namespace ferry::net
