"""Usage: upload.py URL CONTENT_TYPE. Prints `status count` of 20 requests with bodies of 4 to 8 MB, or the error instead."""
import collections
import http.client
import sys
import urllib.parse

url = urllib.parse.urlsplit(sys.argv[1])
outcomes = collections.Counter()
for n in range(20):
    connection = http.client.HTTPConnection(url.netloc, timeout=20)
    try:
        body = b"x" * ((4 + n % 5) * 1024 * 1024)
        connection.request("POST", url.path, body, {"Content-Type": sys.argv[2]})
        response = connection.getresponse()
        response.read()
        outcomes[response.status] += 1
    except OSError as error:
        outcomes[type(error).__name__] += 1
    finally:
        connection.close()
for outcome, count in outcomes.items():
    print(outcome, count)
