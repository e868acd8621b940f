/// The version of this package.
package let steleVersion = "0.1.0"
