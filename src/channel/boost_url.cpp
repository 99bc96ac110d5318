// The one place where Boost.URL's function bodies are compiled; everybody else includes its declarations only.
#include <boost/url/src.hpp>
