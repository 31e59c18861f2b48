"""Authentication and rights: from the bytes of a token to what its bearer may read.

Pure, like the rest of the core: the signature is verified by the shell, with a library; whatever
is decided before and after it stands here. `credentials` finds the token in a request, `tokens`
reads its form, `claims` its content, `rights` compares that with what was asked for, and `expiry`
spreads the ends of the streams. All refusals are declared in `refusals`.
"""
