#pragma once
/// The URL of a channel, which those that were accepted at one listener share.

#include <memory>
#include <string>
#include <utility>

namespace ferry::detail {

/// Immutable; copies are the same text.
class shared_url {
 public:
  shared_url(std::string text)  // NOLINT(google-explicit-constructor): a text is a URL that is not shared yet
      : text_(std::make_shared<const std::string>(std::move(text))) {}
  [[nodiscard]] const std::string& text() const noexcept { return *text_; }

 private:
  std::shared_ptr<const std::string> text_;
};

}  // namespace ferry::detail
