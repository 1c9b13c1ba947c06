/* A program that links libcurl and does nothing with it, for marline-bench size to compare with. */
#include <unistd.h>

#include <curl/curl.h>

int main(void)
{
    if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK || write(STDOUT_FILENO, "r", 1) != 1) {
        return 1;
    }
    for (;;) {
        (void)pause();
    }
}
