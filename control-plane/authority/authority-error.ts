/** Why a certificate was not given. `code` is stable. */
export class AuthorityError extends Error {
  readonly code: 'ERR_TOKEN' | 'ERR_CSR' | 'ERR_NOT_ALLOWED';

  constructor(code: AuthorityError['code'], message: string) {
    super(message);
    this.code = code;
  }
}
