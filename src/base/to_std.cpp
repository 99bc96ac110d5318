#include <ferry/error.hpp>

namespace ferry {

// Alone in this file: Boost.System builds the std::error_category of a category once, under a mutex, and this is the
// only place of the dry floors that makes it do so.
std::error_code to_std(errc code) noexcept { return make_error_code(code); }

}  // namespace ferry
