/** Why a certificate was not given. `code` is stable. */
export class AuthorityError extends Error {
  /** ERR_UNAVAILABLE: nobody can say now, so it is worth to ask again; the others are refusals. */
  readonly code: 'ERR_TOKEN' | 'ERR_CSR' | 'ERR_NOT_ALLOWED' | 'ERR_UNAVAILABLE';

  constructor(code: AuthorityError['code'], message: string) {
    super(message);
    this.code = code;
  }
}
