// Sign users in to Cognito with SRP, with each of the two libraries that AWS offers for browsers.
import { Amplify } from "aws-amplify";
import { fetchAuthSession, signIn, signOut } from "aws-amplify/auth";
import { AuthenticationDetails, CognitoUser, CognitoUserPool } from "amazon-cognito-identity-js";

/** The user pool of a stack. On AWS, an app leaves out the endpoint. */
export interface Pool {
  endpoint: string;
  userPoolId: string;
  clientId: string;
}

export interface Credentials {
  name: string;
  password: string;
}

/** A session of a signed-in user. */
export interface Session {
  accessToken(): Promise<string>;
  signOut(): Promise<void>;
}

/** Signs a user in with amazon-cognito-identity-js. */
export async function signInWithIdentityJs(pool: Pool, { name, password }: Credentials): Promise<Session> {
  const { endpoint, userPoolId, clientId } = pool;
  const users = new CognitoUserPool({ UserPoolId: userPoolId, ClientId: clientId, endpoint });
  const user = new CognitoUser({ Username: name, Pool: users });
  await new Promise<void>((resolve, reject) => {
    const details = new AuthenticationDetails({ Username: name, Password: password });
    user.authenticateUser(details, { onSuccess: () => resolve(), onFailure: reject });
  });
  return {
    accessToken: () =>
      new Promise((resolve, reject) => {
        user.getSession((error: Error | null, session: { getAccessToken(): { getJwtToken(): string } } | null) =>
          session ? resolve(session.getAccessToken().getJwtToken()) : reject(error),
        );
      }),
    signOut: () => new Promise((resolve) => user.signOut(() => resolve())),
  };
}

/** Signs a user in with aws-amplify. */
export async function signInWithAmplify(pool: Pool, { name, password }: Credentials): Promise<Session> {
  const { endpoint, userPoolId, clientId } = pool;
  Amplify.configure({ Auth: { Cognito: { userPoolId, userPoolClientId: clientId, userPoolEndpoint: endpoint } } });
  const { isSignedIn, nextStep } = await signIn({ username: name, password });
  if (!isSignedIn) {
    throw new Error(`Amplify asks for another step: ${nextStep.signInStep}`);
  }
  return {
    accessToken: async () => {
      const { tokens } = await fetchAuthSession();
      if (!tokens) {
        throw new Error("Amplify has no tokens.");
      }
      return tokens.accessToken.toString();
    },
    signOut: () => signOut(),
  };
}
